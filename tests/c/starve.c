/* A Lua host whose memory runs out at a chosen allocation.
 *
 * usage: starve SCRIPT strict|lenient
 *
 * The script returns two functions: the first prepares with all memory it wants, the second runs once for N = 1, 2, 3 …
 * with an allocator that refuses every growth from the Nth on, each time in a forked child with a state of its own.
 * strict: the child must survive; lenient: it may also leave with status 1, as an uncaught error in a coroutine does.
 */

#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Counts down while armed; at zero every growth is refused. */
static long allowance;
static int armed, refused;

static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    (void)user;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (armed && (block == NULL || new_size > old_size)) {
        if (allowance == 0) {
            refused = 1;
            return NULL;
        }
        allowance--;
    }
    return realloc(block, new_size);
}

/* Counts open descriptors; names them when asked to. */
static int open_descriptors(int show)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder)); count++) {
        char path[300], target[300] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (show && readlink(path, target, sizeof target - 1) > 0)
            fprintf(stderr, "%s -> %s\n", entry->d_name, target);
    }
    closedir(folder);
    return count;
}

static void fail(long n, const char *what, const char *detail)
{
    fprintf(stderr, "allocation %ld: %s: %s\n", n, what, detail ? detail : "");
    fflush(NULL);
    _exit(3);
}

/* The child: 0 when the script ended without meeting the limit, 2 when it met it and all is well. */
static int run(const char *script, long n)
{
    int before = open_descriptors(0);
    lua_State *L = lua_newstate(allocate, NULL);
    if (!L)
        fail(n, "no state", NULL);
    luaL_openlibs(L);
    if (luaL_dofile(L, script) != LUA_OK)
        fail(n, "the script does not load", lua_tostring(L, -1));
    /* stack: prepare, starve */
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        fail(n, "preparation", lua_tostring(L, -1));
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCSTOP);

    allowance = n;
    refused = 0;
    armed = 1;
    lua_pushvalue(L, -1);
    int status = lua_pcall(L, 0, 0, 0);
    armed = 0;
    char error[200] = "";
    if (status != LUA_OK && lua_type(L, -1) == LUA_TSTRING)
        snprintf(error, sizeof error, "%s", lua_tostring(L, -1));
    if (status != LUA_OK && !refused)
        fail(n, "the script failed by itself", lua_tostring(L, -1));
    lua_settop(L, 2);
    lua_gc(L, LUA_GCRESTART);
    lua_gc(L, LUA_GCCOLLECT);

    /* Usable: the same again with enough memory. */
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        fail(n, "afterwards the state is broken", lua_tostring(L, -1));
    lua_close(L);
    int after = open_descriptors(0);
    if (after != before) {
        char text[300];
        open_descriptors(1);
        snprintf(text, sizeof text, "%d before, %d after; the script ended with: %s", before, after, error);
        fail(n, "descriptors leaked", text);
    }
    return refused ? 2 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    int lenient = strcmp(argv[2], "lenient") == 0;
    long uncaught = 0;
    for (long n = 1; n < 100000; n++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            /* An endless wait is a failure too. */
            alarm(30);
            _exit(run(argv[1], n));
        }
        int status;
        if (waitpid(child, &status, 0) != child)
            return 65;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            printf("%ld allocations, %ld ended in an uncaught error\n", n, uncaught);
            return n > 20 ? 0 : 66;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
            continue;
        if (lenient && WIFEXITED(status) && WEXITSTATUS(status) == 1) {
            uncaught++;
            continue;
        }
        fprintf(stderr, "allocation %ld: wait status %#x\n", n, status);
        return 1;
    }
    return 67;
}
