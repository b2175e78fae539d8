// Runs a program many times with its output thrown away and prints the median time of a run in milliseconds, start
// and end included.                                                                  usage: spawn COUNT PROGRAM [ARGUMENT...]
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[1]) : 0;
    if (count < 1) {
        fputs("usage: spawn COUNT PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // A file, not /dev/null, so that what is written is copied.
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/shm/spawn-output", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    double *times = calloc(count, sizeof *times);
    if (!times)
        return 1;
    for (int run = 0; run < count; run++) {
        pid_t pid;
        int status;
        double start = now();
        if (posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "%s failed\n", argv[2]);
            return 1;
        }
        times[run] = now() - start;
    }
    qsort(times, count, sizeof *times, ascending);
    printf("%.4f\n", times[count / 2]);
    remove("/dev/shm/spawn-output");
    return 0;
}
