/* Yardstick: coroutine switches of a bare lua_resume / lua_yield loop.
 *
 * usage: switch COROUTINES SWITCHES      prints switches per second
 *
 * The Lua side is the same loop as in lua/yield.lua; the scheduler is a for-loop over an array.
 */

#include "common.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static int yield(lua_State *L)
{
    return lua_yield(L, 0);
}

static const char chunk[] = "local yield, rounds = ...\n"
                            "return function() yield() for _ = 1, rounds do yield() end end";

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    int count = atoi(argv[1]), results;
    long rounds = atol(argv[2]) / count;
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_gc(L, LUA_GCGEN, 0, 0);
    luaL_loadstring(L, chunk);
    lua_pushcfunction(L, yield);
    lua_pushinteger(L, rounds);
    lua_call(L, 2, 1);
    lua_createtable(L, count, 0);
    lua_State **threads = calloc(count, sizeof *threads);
    for (int i = 0; i < count; i++) {
        threads[i] = lua_newthread(L);
        lua_rawseti(L, 2, i + 1);
        lua_pushvalue(L, 1);
        lua_xmove(L, threads[i], 1);
        if (lua_resume(threads[i], L, 0, &results) != LUA_YIELD)
            return 65;
    }
    double start = seconds();
    for (long round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            if (lua_resume(threads[i], L, 0, &results) != LUA_YIELD)
                return 66;
    printf("%.0f\n", (double)rounds * count / (seconds() - start));
    return 0;
}
