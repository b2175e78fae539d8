/* Prints how many rows a second threads select by their key, each by a prepared statement on a connection of its own, from
 * the table of benches/lua/select.lua.      usage: mariadb_select SOCKET CONNECTIONS SECONDS */
#include <mariadb/mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *path;
static atomic_int stop;
static atomic_long count;

static void check(int failed, const char *message) {
    if (failed) {
        fprintf(stderr, "%s\n", message);
        exit(1);
    }
}

static void *run(void *number) {
    static const char sql[] = "select abalance from accounts where aid = ?";
    MYSQL *db = mysql_init(NULL);
    check(!mysql_real_connect(db, NULL, "root", NULL, "bench", 0, path, 0), mysql_error(db));
    MYSQL_STMT *statement = mysql_stmt_init(db);
    check(mysql_stmt_prepare(statement, sql, sizeof sql - 1), mysql_stmt_error(statement));
    int id, balance;
    MYSQL_BIND in = { .buffer_type = MYSQL_TYPE_LONG, .buffer = &id }, out = { .buffer_type = MYSQL_TYPE_LONG, .buffer = &balance };
    mysql_stmt_bind_param(statement, &in);
    mysql_stmt_bind_result(statement, &out);
    unsigned next = (unsigned)(size_t)number;
    long done = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        next = (next * 1103515245u + 12345u) % 100000u;
        id = (int)next + 1;
        check(mysql_stmt_execute(statement), mysql_stmt_error(statement));
        check(mysql_stmt_fetch(statement) != 0 || balance != 0, "no such row");
        mysql_stmt_free_result(statement);
        done++;
    }
    atomic_fetch_add(&count, done);
    mysql_stmt_close(statement);
    mysql_close(db);
    return NULL;
}

int main(int argc, char **argv) {
    check(argc != 4, "usage: mariadb_select SOCKET CONNECTIONS SECONDS");
    path = argv[1];
    int connections = atoi(argv[2]), seconds = atoi(argv[3]);
    check(connections < 1 || connections > 64 || mysql_library_init(0, NULL, NULL), "64 connections at most");
    pthread_t threads[64];
    for (int i = 0; i < connections; i++) pthread_create(&threads[i], NULL, run, (void *)(size_t)(i + 1));
    sleep((unsigned)seconds);
    atomic_store(&stop, 1);
    for (int i = 0; i < connections; i++) pthread_join(threads[i], NULL);
    printf("%ld\n", atomic_load(&count) / seconds);
    return 0;
}
