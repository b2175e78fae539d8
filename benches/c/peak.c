/* Runs a command and prints the peak of its resident memory in KB, as the kernel counted it.
 *
 * usage: peak COMMAND ARGUMENT…
 */

#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    pid_t child;
    struct rusage usage;
    int status;
    if (argc < 2)
        return 64;
    /* posix_spawn shares our memory until exec, so the peak is the command's own. */
    if (posix_spawnp(&child, argv[1], NULL, NULL, argv + 1, environ))
        return 65;
    if (wait4(child, &status, 0, &usage) != child || status != 0)
        return 66;
    printf("%ld\n", usage.ru_maxrss);
    return 0;
}
