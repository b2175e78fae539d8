/* Messages through a pair of ZeroMQ sockets between two threads, made and read as the script beside makes and reads them.
 * usage: zmq_pair COUNT      Prints messages per second. */

#include "common.h"
#include <pthread.h>

/* What is used of zmq.h, so that the library alone need be there. */
typedef struct {
    void *content[64 / sizeof(void *)];
} zmq_msg_t;
enum { ZMQ_PAIR = 0 };
void *zmq_ctx_new(void);
int zmq_ctx_term(void *);
void *zmq_socket(void *, int);
int zmq_close(void *);
int zmq_bind(void *, const char *);
int zmq_connect(void *, const char *);
int zmq_send(void *, const void *, size_t, int);
int zmq_recv(void *, void *, size_t, int);
int zmq_msg_init(zmq_msg_t *);
int zmq_msg_recv(zmq_msg_t *, void *, int);
int zmq_msg_close(zmq_msg_t *);
void *zmq_msg_data(zmq_msg_t *);
size_t zmq_msg_size(const zmq_msg_t *);

static void *context;
static long count;

static void *produce(void *unused)
{
    void *socket = zmq_socket(context, ZMQ_PAIR);
    char text[32];
    zmq_bind(socket, "inproc://#1");
    for (long i = 1; i <= count; i++)
        zmq_send(socket, text, snprintf(text, sizeof text, "tick: %ld", i), 0);
    zmq_send(socket, "STOP", 4, 0);
    zmq_recv(socket, text, sizeof text, 0);
    zmq_close(socket);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t producer;
    zmq_msg_t message;
    count = argc > 1 ? atol(argv[1]) : 1000000;
    context = zmq_ctx_new();
    double start = seconds();
    pthread_create(&producer, NULL, produce, NULL);
    void *socket = zmq_socket(context, ZMQ_PAIR);
    zmq_connect(socket, "inproc://#1");
    zmq_msg_init(&message);
    do
        zmq_msg_recv(&message, socket, 0);
    while (zmq_msg_size(&message) != 4 || memcmp(zmq_msg_data(&message), "STOP", 4) != 0);
    zmq_msg_close(&message);
    zmq_send(socket, "OK", 2, 0);
    pthread_join(producer, NULL);
    printf("%.0f\n", (double)count / (seconds() - start));
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
