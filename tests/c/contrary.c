/* A stream whose reads may have to write and whose writes may have to read, as those of TLS do. Lua module `contrary`.
 *
 * callbacks(fd) gives the read function, the write function and their context, for eco.reader and eco.writer. What was
 * read is handed out once a byte of acknowledgement was sent; before anything is written a byte of permission is read.
 * A write that would block has to come again with the same bytes at the same place.
 */

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <string.h>
#include <sys/socket.h>

#define WANTS_READ -0x10001
#define WANTS_WRITE -0x10002

struct stream {
    int fd, permitted;
    char held[4096];
    ssize_t length;
    const void *again;
    size_t again_length;
};

static int failed(char **error, char *text)
{
    *error = text;
    return -EPROTO;
}

static int contrary_read(void *buffer, size_t length, void *context, char **error)
{
    struct stream *stream = context;
    if (!stream->length) {
        ssize_t count = recv(stream->fd, stream->held, length < sizeof stream->held ? length : sizeof stream->held, 0);
        if (count < 0)
            return errno == EAGAIN ? WANTS_READ : failed(error, strerror(errno));
        if (count == 0)
            return 0;
        stream->length = count;
    }
    if (send(stream->fd, "r", 1, MSG_NOSIGNAL) != 1)
        return errno == EAGAIN ? WANTS_WRITE : failed(error, strerror(errno));
    int count = stream->length;
    memcpy(buffer, stream->held, count);
    stream->length = 0;
    return count;
}

static int contrary_write(const void *buffer, size_t length, void *context, char **error)
{
    struct stream *stream = context;
    char byte;
    if (stream->again && (stream->again != buffer || stream->again_length != length))
        return failed(error, "other bytes");
    stream->again = buffer;
    stream->again_length = length;
    if (!stream->permitted) {
        if (recv(stream->fd, &byte, 1, 0) != 1)
            return errno == EAGAIN ? WANTS_READ : failed(error, strerror(errno));
        stream->permitted = 1;
    }
    ssize_t count = send(stream->fd, buffer, length < 1000 ? length : 1000, MSG_NOSIGNAL);
    if (count < 0)
        return errno == EAGAIN ? WANTS_WRITE : failed(error, strerror(errno));
    stream->again = NULL;
    stream->permitted = 0;
    return count;
}

static int callbacks(lua_State *L)
{
    struct stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    memset(stream, 0, sizeof *stream);
    stream->fd = luaL_checkinteger(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, stream);
    lua_pushlightuserdata(L, contrary_read);
    lua_pushlightuserdata(L, contrary_write);
    lua_pushlightuserdata(L, stream);
    return 3;
}

int luaopen_contrary(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, callbacks);
    lua_setfield(L, -2, "callbacks");
    return 1;
}
