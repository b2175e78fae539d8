/* Load for the echo servers: keeps one message in flight on every connection.
 *
 * usage: echo_load PORT CONNECTIONS BYTES SECONDS      prints round trips per second
 */

#include "common.h"

struct connection {
    int fd;
    size_t got;
};

int main(int argc, char **argv)
{
    if (argc != 5)
        return 64;
    int port = atoi(argv[1]), connections = atoi(argv[2]);
    size_t size = atol(argv[3]);
    char message[65536], answer[65536];
    memset(message, 'x', sizeof message);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        struct connection *c = calloc(1, sizeof *c);
        c->fd = connect_to(port);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
        if (write(c->fd, message, size) != (ssize_t)size)
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
                if (write(c->fd, message, size) != (ssize_t)size)
                    die("write");
            }
        }
        now = seconds();
    }
    printf("%.0f\n", trips / (now - start));
    return 0;
}
