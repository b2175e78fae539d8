/* Yardstick: a bare single-threaded, level-triggered epoll echo server.
 *
 * usage: echo_server PORT
 */

#include "common.h"

struct connection {
    int fd;
    size_t start, end; /* what could not be sent yet */
    char buffer[4096];
};

static void drop(struct connection *c)
{
    close(c->fd);
    free(c);
}

/* Sends what is pending; false when the connection is gone. */
static int flush(int epoll, struct connection *c, int was_waiting)
{
    while (c->start < c->end) {
        ssize_t sent = write(c->fd, c->buffer + c->start, c->end - c->start);
        if (sent < 0) {
            if (errno != EAGAIN)
                return 0;
            if (!was_waiting)
                watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
            return 1;
        }
        c->start += sent;
    }
    c->start = c->end = 0;
    if (was_waiting)
        watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(atoi(argv[1])), epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    struct epoll_event events[128];
    for (;;) {
        int count = epoll_wait(epoll, events, 128, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                int on = 1, fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
                }
            } else if (events[i].events & EPOLLOUT) {
                if (!flush(epoll, c, 1))
                    drop(c);
            } else {
                ssize_t got = read(c->fd, c->buffer, sizeof c->buffer);
                if (got <= 0) {
                    if (got == 0 || errno != EAGAIN)
                        drop(c);
                    continue;
                }
                c->end = got;
                if (!flush(epoll, c, 0))
                    drop(c);
            }
        }
    }
}
