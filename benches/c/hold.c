/* Opens keep-alive HTTP connections, makes one request on each, and holds them until standard input ends.
 *
 * usage: hold PORT CONNECTIONS      prints `ready` when all have been answered
 */

#include "common.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hold\r\nAccept: */*\r\n\r\n";
    int port = atoi(argv[1]), connections = atoi(argv[2]);
    for (int i = 0; i < connections; i++) {
        char buffer[4096];
        size_t used = 0;
        int fd = connect_to(port);
        if (write(fd, request, sizeof request - 1) < 0)
            die("write");
        while (!memmem(buffer, used, "hello world\n", 12)) {
            ssize_t got = read(fd, buffer + used, sizeof buffer - used);
            if (got <= 0)
                die("read");
            used += got;
        }
    }
    puts("ready");
    fflush(stdout);
    char end;
    while (read(0, &end, 1) > 0)
        ;
    return 0;
}
