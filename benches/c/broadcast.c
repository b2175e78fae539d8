/* Sends 1 KB to each of 1000 sockets, 50 times over; what they got is read in between.
 *
 * usage: broadcast      prints sends per second
 */

#include "common.h"

#include <time.h>

#define SOCKETS 1000
#define ROUNDS 50

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void)
{
    static int pairs[SOCKETS][2];
    static char data[1024];
    double used = 0;
    for (int i = 0; i < SOCKETS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]) < 0)
            return 1;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < SOCKETS; i++)
            if (send(pairs[i][0], data, sizeof data, MSG_NOSIGNAL) != sizeof data)
                return 1;
        used += now() - start;
        for (int i = 0; i < SOCKETS; i++)
            if (read(pairs[i][1], data, sizeof data) != sizeof data)
                return 1;
    }
    printf("%.3f\n", SOCKETS * ROUNDS / used);
    return 0;
}
