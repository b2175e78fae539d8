/* Two Lua states in two threads of one process: what one does with signals leaves the other whole.
 *
 * usage: threads
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES 30

/* How far the play has come: see the scripts. */
static atomic_int phase;
static atomic_int heard;

static void fail(const char *what)
{
    fprintf(stderr, "%s (phase %d)\n", what, atomic_load(&phase));
    exit(1);
}

static void hear(int signal)
{
    (void)signal;
    atomic_fetch_add(&heard, 1);
}

/* Raises the phase. */
static void reach(int number)
{
    int now = atomic_load(&phase);
    while (now < number && !atomic_compare_exchange_weak(&phase, &now, number)) {
    }
}

static void await(int number)
{
    for (int waited = 0; atomic_load(&phase) < number; waited++) {
        if (waited > 20000)
            fail("waited in vain");
        usleep(1000);
    }
}

static int lua_reach(lua_State *L)
{
    reach((int)luaL_checkinteger(L, 1));
    return 0;
}

static int lua_reached(lua_State *L)
{
    lua_pushboolean(L, atomic_load(&phase) >= luaL_checkinteger(L, 1));
    return 1;
}

static int lua_await(lua_State *L)
{
    await((int)luaL_checkinteger(L, 1));
    return 0;
}

static void *play(void *script)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_register(L, "reach", lua_reach);
    lua_register(L, "reached", lua_reached);
    lua_register(L, "await", lua_await);
    if (luaL_dostring(L, script) != LUA_OK)
        fail(lua_tostring(L, -1));
    int last = (int)lua_tointeger(L, -1);
    lua_close(L);
    reach(last);
    return NULL;
}

static pthread_t start(const char *script)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, play, (void *)script) != 0)
        fail("no thread");
    return thread;
}

static void join(pthread_t thread, const char *what)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20;
    if (pthread_timedjoin_np(thread, NULL, &limit) != 0)
        fail(what);
}

/* Takes the descriptor numbers that others have closed. */
static int files[FILES];

static void open_files(void)
{
    for (int i = 0; i < FILES; i++) {
        char name[30];
        snprintf(name, sizeof name, "stranger%d", i);
        files[i] = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);
        if (files[i] < 0)
            fail("no file");
    }
}

static void check_files(void)
{
    for (int i = 0; i < FILES; i++) {
        struct stat info;
        if (fstat(files[i], &info) != 0 || info.st_size != 0)
            fail("a signal handler wrote into a stranger's file");
        close(files[i]);
    }
}

/* The signal is for one of the states: this thread does not take it. */
static void interrupt(void)
{
    kill(getpid(), SIGINT);
}

static const char first_ends_first[] =
    "local eco = require 'eco' "
    "eco.run(function() eco.sleep(0) reach(1) while not reached(2) do eco.sleep(0.001) end end) "
    "assert(eco.loop()) return 3";

static const char second_ends_by_signal[] =
    "local eco = require 'eco' "
    "eco.run(function() eco.sleep(0) reach(2) eco.sleep(1000) error('not interrupted') end) "
    "assert(eco.loop()) return 4";

/* Two such end by one signal. */
static const char both_end[] =
    "local eco = require 'eco' "
    "eco.run(function() eco.sleep(0) if reached(11) then reach(12) else reach(11) end "
    "eco.sleep(1000) error('not interrupted') end) "
    "assert(eco.loop()) return 0";

/* Two that never wait: one signal interrupts both, each in its own thread. */
static const char both_busy[] =
    "local eco = require 'eco' "
    "eco.run(function() eco.sleep(0) if reached(13) then reach(14) else reach(13) end "
    "local ok, message = pcall(function() while true do end end) "
    "assert(not ok and message == 'interrupted!', message) end) "
    "assert(eco.loop()) return 0";

/* Children and listeners of each state are its own. */
#define CHILDREN(number, signal) \
    "local eco, sys = require 'eco', require 'eco.sys' " \
    "local ended = 0 " \
    "for i = 1, 20 do eco.run(function() " \
    "local p = assert(sys.exec('sh', '-c', 'exit ' .. i + " #number ")) " \
    "local pid, status = p:wait(20) " \
    "assert(pid == p.pid and status.status == i + " #number ", 'a status is lost') ended = ended + 1 end) end " \
    "local listener listener = sys.signal(sys." #signal ", function() listener:close() reach(" #number " + 2) end) " \
    "eco.run(function() eco.sleep(0) reach(" #number " + 1) while not reached(" #number " + 2) do eco.sleep(0.001) end end) " \
    "assert(eco.loop()) assert(ended == 20) return 0"

static const char children_of_one[] = CHILDREN(20, SIGUSR1);
static const char children_of_another[] = "await(21) " CHILDREN(30, SIGUSR2);

/* The signal comes to a thread that knows nothing of it. */
static const char listens[] =
    "local eco, sys = require 'eco', require 'eco.sys' "
    "local count, listener = 0 "
    "listener = sys.signal(sys.SIGTERM, function() count = count + 1 reach(50 + count) if count == 3 then listener:close() end end) "
    "reach(50) assert(eco.loop()) assert(count == 3) return 54";

int main(void)
{
    struct sigaction action = { .sa_handler = hear };
    sigaction(SIGINT, &action, NULL);
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);

    pthread_t first = start(first_ends_first);
    await(1);
    pthread_t second = start(second_ends_by_signal);
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    await(2);
    join(first, "the first loop did not end");
    open_files();
    interrupt();
    join(second, "SIGINT did not end the loop of the second state");
    check_files();

    /* What was in force before the first is in force after the last. */
    open_files();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (atomic_load(&heard) != 0)
        fail("the handler of the host ran while a loop did");
    raise(SIGINT);
    if (atomic_load(&heard) != 1)
        fail("the handler of the host is lost");
    check_files();
    sigaction(SIGPIPE, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        fail("SIGPIPE stays ignored");

    first = start(both_end);
    await(11);
    second = start(both_end);
    await(12);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
    interrupt();
    join(first, "SIGINT did not reach the first loop");
    join(second, "SIGINT did not reach the second loop");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (atomic_load(&heard) != 1)
        fail("the handler of the host ran while a loop did");

    first = start(both_busy);
    await(13);
    second = start(both_busy);
    await(14);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
    interrupt();
    join(first, "SIGINT did not interrupt the first state");
    join(second, "SIGINT did not interrupt the second state");
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    first = start(children_of_one);
    second = start(children_of_another);
    await(31);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    join(first, "the first state lost a child or a signal");
    join(second, "the second state lost a child or a signal");

    first = start(listens);
    for (int i = 50; i < 53; i++) {
        await(i);
        raise(SIGTERM);
    }
    join(first, "a listener did not hear what another thread got");
    await(54);
    sigaction(SIGTERM, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        fail("SIGTERM does not have its default again");
    return 0;
}
