/* Yardstick: a bare single-threaded, level-triggered epoll server that answers each request with fixed bytes.
 *
 * usage: http_server PORT
 *
 * A request ends at an empty line; nothing else of it is looked at.
 */

#include "common.h"

static const char response[] = "HTTP/1.1 200 OK\r\n"
                               "server: bare\r\n"
                               "content-type: text/plain\r\n"
                               "content-length: 12\r\n"
                               "\r\n"
                               "hello world\n";

struct connection {
    int fd;
    size_t used;
    char buffer[4096];
};

static void drop(struct connection *c)
{
    close(c->fd);
    free(c);
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
                continue;
            }
            ssize_t got = read(c->fd, c->buffer + c->used, sizeof c->buffer - c->used);
            if (got <= 0) {
                if (got == 0 || errno != EAGAIN)
                    drop(c);
                continue;
            }
            c->used += got;
            char *start = c->buffer, *end;
            int gone = 0;
            while ((end = memmem(start, c->buffer + c->used - start, "\r\n\r\n", 4))) {
                start = end + 4;
                /* Far less than a socket buffer is ever outstanding. */
                if (write(c->fd, response, sizeof response - 1) != sizeof response - 1) {
                    gone = 1;
                    break;
                }
            }
            c->used -= start - c->buffer;
            memmove(c->buffer, start, c->used);
            if (gone || c->used == sizeof c->buffer)
                drop(c);
        }
    }
}
