/* A stream layer as TLS would bring one: every byte is masked on its way. Lua module `mask`.
 *
 * callbacks(fd) gives the read function, the write function and their context, for eco.reader and eco.writer.
 * Writes are cut to 1000 bytes, so that callers meet short ones.
 */

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MASK 0x5a

static int finish(ssize_t count, char **error)
{
    if (count >= 0)
        return count;
    if (errno == EAGAIN)
        return -EAGAIN;
    *error = "masked stream failed";
    return -errno;
}

static int masked_read(void *buffer, size_t length, void *context, char **error)
{
    ssize_t count = read((intptr_t)context, buffer, length);
    for (ssize_t i = 0; i < count; i++)
        ((unsigned char *)buffer)[i] ^= MASK;
    return finish(count, error);
}

static int masked_write(const void *buffer, size_t length, void *context, char **error)
{
    unsigned char masked[1000];
    if (length > sizeof masked)
        length = sizeof masked;
    for (size_t i = 0; i < length; i++)
        masked[i] = ((const unsigned char *)buffer)[i] ^ MASK;
    return finish(send((intptr_t)context, masked, length, MSG_NOSIGNAL), error);
}

static int callbacks(lua_State *L)
{
    intptr_t fd = luaL_checkinteger(L, 1);
    lua_pushlightuserdata(L, masked_read);
    lua_pushlightuserdata(L, masked_write);
    lua_pushlightuserdata(L, (void *)fd);
    return 3;
}

int luaopen_mask(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, callbacks);
    lua_setfield(L, -2, "callbacks");
    return 1;
}
