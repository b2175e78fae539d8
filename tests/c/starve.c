/* A Lua host whose memory runs out at a chosen allocation, and which knows every other block of the C library's heap.
 *
 * usage: starve SCRIPT strict|lenient
 *
 * The script returns two functions: the first prepares with all memory it wants, the second runs once for N = 1, 2, 3 …
 * with an allocator that refuses every growth from the Nth on, each time in a forked child with a state of its own.
 * strict: the child must survive; lenient: it may also leave with status 1, as an uncaught error in a coroutine does.
 * Whatever native code has allocated from then on must be free again when the state is closed.
 */

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The heap. These names take the place of the C library's, for everybody in the process. ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

#define SLOTS (1 << 16)
#define FRAMES 12

/* The blocks allocated since tracking began, hashed by address. */
static struct block {
    void *address;
    size_t size;
    void *frames[FRAMES];
    int depth;
} blocks[SLOTS];
static int tracking;
static __thread int inside;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t place(void *address)
{
    return ((uintptr_t)address >> 4) * 0x9e3779b97f4a7c15u >> 48 & (SLOTS - 1);
}

static void *came(void *address, size_t size)
{
    if (!tracking || inside || !address)
        return address;
    inside = 1;
    pthread_mutex_lock(&lock);
    size_t at = place(address);
    while (blocks[at].address)
        at = (at + 1) & (SLOTS - 1);
    blocks[at].address = address;
    blocks[at].size = size;
    blocks[at].depth = backtrace(blocks[at].frames, FRAMES);
    pthread_mutex_unlock(&lock);
    inside = 0;
    return address;
}

static void goes(void *address)
{
    if (!tracking || !address)
        return;
    pthread_mutex_lock(&lock);
    size_t at = place(address);
    while (blocks[at].address && blocks[at].address != address)
        at = (at + 1) & (SLOTS - 1);
    if (blocks[at].address) {
        /* Closes the gap, so that none of the blocks behind it gets out of reach. */
        for (size_t next = at;;) {
            next = (next + 1) & (SLOTS - 1);
            if (!blocks[next].address)
                break;
            size_t wanted = place(blocks[next].address);
            if (((next - wanted) & (SLOTS - 1)) >= ((next - at) & (SLOTS - 1))) {
                blocks[at] = blocks[next];
                at = next;
            }
        }
        blocks[at].address = NULL;
    }
    pthread_mutex_unlock(&lock);
}

void *malloc(size_t size) { return came(__libc_malloc(size), size); }
void *calloc(size_t count, size_t size) { return came(__libc_calloc(count, size), count * size); }
void *memalign(size_t alignment, size_t size) { return came(__libc_memalign(alignment, size), size); }
void *aligned_alloc(size_t alignment, size_t size) { return came(__libc_memalign(alignment, size), size); }

int posix_memalign(void **block, size_t alignment, size_t size)
{
    *block = came(__libc_memalign(alignment, size), size);
    return *block ? 0 : ENOMEM;
}

void *realloc(void *block, size_t size)
{
    goes(block);
    void *moved = __libc_realloc(block, size);
    if (!moved && size > 0)
        came(block, size);
    return came(moved, size);
}

void free(void *block)
{
    goes(block);
    __libc_free(block);
}

/* Shows what is still there; how many blocks that is. */
static int show_blocks(void)
{
    int count = 0;
    tracking = 0;
    for (size_t at = 0; at < SLOTS; at++) {
        if (!blocks[at].address)
            continue;
        count++;
        fprintf(stderr, "%zu bytes, allocated by\n", blocks[at].size);
        fflush(stderr);
        backtrace_symbols_fd(blocks[at].frames, blocks[at].depth, 2);
    }
    return count;
}

/* ---- Lua's memory ---- */

/* Counts down while armed; at zero every growth is refused. */
static long allowance;
static int armed, refused;

static void *allocate(void *user, void *block, size_t old_size, size_t new_size)
{
    (void)user;
    if (new_size == 0) {
        __libc_free(block);
        return NULL;
    }
    if (armed && (block == NULL || new_size > old_size)) {
        if (allowance == 0) {
            refused = 1;
            return NULL;
        }
        allowance--;
    }
    return __libc_realloc(block, new_size);
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

/* 0 when the script ended without meeting the limit, 2 when it met it and all is well. */
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
    armed = tracking = 1;
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
    if (show_blocks() > 0)
        fail(n, "memory leaked; the script ended with", error);
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
    /* What the process has from its first use on: tables of names, the unwinder. */
    void *frames[FRAMES];
    backtrace(frames, FRAMES);
    inside = 1;
    run(argv[1], -1);
    inside = 0;
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
