/* Lua module `heap`: how much memory of the C library is in use, Lua's own and everybody else's. */

#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>

/* used() -> bytes */
static int used(lua_State *L)
{
    struct mallinfo2 info = mallinfo2();
    lua_pushinteger(L, info.uordblks + info.hblkhd);
    return 1;
}

int luaopen_heap(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, used);
    lua_setfield(L, -2, "used");
    return 1;
}
