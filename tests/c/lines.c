/* Stands before ioctl(2): gives every terminal the modem lines, the counters and the unsent bytes that a file says it has.
 * The file "lines" in the working directory: eight native ints, see below. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

struct state {
    int bits;          /* TIOCMGET */
    int changes[4];    /* of CTS, DSR, RI, DCD; the first is -1 if the driver counts none */
    int unsent;        /* TIOCOUTQ */
    int milliseconds;  /* that TCSBRK takes */
    int breaks;        /* how many have begun; negative while one goes on */
};

static int with_state(struct state *state, int save) {
    int fd = open("lines", save ? O_WRONLY : O_RDONLY);
    if (fd < 0) return 0;
    ssize_t count = save ? pwrite(fd, state, sizeof *state, 0) : pread(fd, state, sizeof *state, 0);
    close(fd);
    return count == sizeof *state;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    struct state state;
    /* What is no terminal refuses as ever. */
    char unused[256];
    if (syscall(SYS_ioctl, fd, TCGETS, unused) != 0 || !with_state(&state, 0))
        return syscall(SYS_ioctl, fd, request, argument);
    int *number = argument;
    switch (request) {
    case TIOCMGET:
        *number = state.bits;
        return 0;
    case TIOCMBIS:
        state.bits |= *number;
        return with_state(&state, 1) - 1;
    case TIOCMBIC:
        state.bits &= ~*number;
        return with_state(&state, 1) - 1;
    case TIOCGICOUNT:
        if (state.changes[0] < 0) {
            errno = ENOTTY;
            return -1;
        }
        memset(number, 0, 20 * sizeof *number);
        memcpy(number, state.changes, sizeof state.changes);
        number[4] = 7;
        number[8] = -1;
        return 0;
    case TIOCOUTQ:
        *number = state.unsent;
        return 0;
    case TIOCSBRK:
        state.breaks = -1 - state.breaks;
        return with_state(&state, 1) - 1;
    case TIOCCBRK:
        state.breaks = -state.breaks;
        return with_state(&state, 1) - 1;
    case TCSBRK:
        if (argument) {
            struct timespec pause = { state.milliseconds / 1000, state.milliseconds % 1000 * 1000000L };
            nanosleep(&pause, NULL);
            return 0;
        }
    }
    return syscall(SYS_ioctl, fd, request, argument);
}
