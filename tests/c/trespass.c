/* Lua module `trespass`: what a watched process must not let pass. */

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

/* Reads memory that was given back. */
static int use_after_free(lua_State *L)
{
    char *volatile block = malloc(100);
    memset(block, 'x', 100);
    free(block);
    lua_pushlstring(L, block, 100);
    return 1;
}

/* Loses a block. */
static int lose(lua_State *L)
{
    void *volatile block = malloc(1234);
    (void)L;
    block = NULL;
    return 0;
}

/* Pops more than there is. */
static int misuse(lua_State *L)
{
    lua_settop(L, 0);
    lua_pop(L, 3);
    return 0;
}

int luaopen_trespass(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "use_after_free", use_after_free }, { "lose", lose }, { "misuse", misuse }, { NULL, NULL }
    };
    luaL_newlib(L, functions);
    return 1;
}
