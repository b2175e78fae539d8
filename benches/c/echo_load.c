/* Load for the echo servers: keeps one message in flight on every connection.
 *
 * usage: echo_load PORT CONNECTIONS BYTES SECONDS [websocket]      prints round trips per second
 *
 * With the last word, messages of so many bytes (125 at most) over WebSocket.
 */

#include "common.h"

struct connection {
    int fd;
    size_t got;
};

/* Asks for a WebSocket and reads the head of the answer. */
static void upgrade(int fd)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char last[4] = "";
    if (write(fd, request, sizeof request - 1) != sizeof request - 1)
        die("write");
    while (memcmp(last, "\r\n\r\n", 4)) {
        memmove(last, last + 1, 3);
        if (read(fd, last + 3, 1) != 1)
            die("read");
    }
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        return 64;
    int websocket = argc == 6;
    int port = atoi(argv[1]), connections = atoi(argv[2]);
    size_t size = atol(argv[3]), sent = size;
    char message[65536], answer[65536];
    memset(message, 'x', sizeof message);
    if (websocket) {
        /* The mask is four of the same bytes as the payload. */
        message[0] = (char)0x82;
        message[1] = (char)(0x80 | size);
        sent = size + 6;
        size += 2;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        struct connection *c = calloc(1, sizeof *c);
        c->fd = connect_to(port);
        if (websocket)
            upgrade(c->fd);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
        if (write(c->fd, message, sent) != (ssize_t)sent)
            die("write");
    }
    struct epoll_event events[128];
    long trips = 0;
    double start = seconds(), end = start + atof(argv[4]), now = start;
    while (now < end) {
        int count = epoll_wait(epoll, events, 128, 1000);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t got = read(c->fd, answer, size - c->got);
            if (got <= 0) {
                if (got < 0 && errno == EAGAIN)
                    continue;
                die("read");
            }
            c->got += got;
            if (c->got == size) {
                c->got = 0;
                trips++;
                if (write(c->fd, message, sent) != (ssize_t)sent)
                    die("write");
            }
        }
        now = seconds();
    }
    printf("%.0f\n", trips / (now - start));
    return 0;
}
