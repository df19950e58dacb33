/*
 * Host ends of character ports: specifications, files, sockets, pseudo-terminals, and that nothing ever blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/character.h"

struct bench {
    struct loop *loop;
    struct characters *characters;
    char folder[32], path[64];
    uint8_t got[256];
    size_t got_count, room;
    unsigned connections;
    int waits_for; /* how many more bytes or connections until the loop is left */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->loop = loop_create(NULL);
    bench->characters = characters_create(bench->loop, NULL, NULL, NULL, 0);
    bench->room = sizeof(bench->got);
    strcpy(bench->folder, "/tmp/hearth-port-XXXXXX");
    if (!mkdtemp(bench->folder))
        return -1;
    snprintf(bench->path, sizeof(bench->path), "%s/x", bench->folder);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    unlink(bench->path);
    rmdir(bench->folder);
    characters_destroy(bench->characters);
    loop_destroy(bench->loop);
    free(bench);
    return 0;
}

static void receive(void *device, const uint8_t *bytes, size_t count)
{
    struct bench *bench = device;
    assert_true(count <= bench->room);
    memcpy(bench->got + bench->got_count, bytes, count);
    bench->got_count += count;
    bench->room -= count;
    bench->waits_for -= (int)count;
    if (bench->waits_for <= 0)
        loop_quit(bench->loop);
}

static size_t room(void *device)
{
    return ((struct bench *)device)->room;
}

static void connected(void *opaque)
{
    struct bench *bench = opaque;
    bench->connections++;
    if (--bench->waits_for <= 0)
        loop_quit(bench->loop);
}

static struct character_port *open_port(struct bench *bench, const char *format)
{
    char specification[128], error[256] = "";
    snprintf(specification, sizeof(specification), format, bench->path);
    struct character_port *port =
        character_open(bench->characters, "test", specification, error, sizeof(error));
    if (!port)
        fail_msg("%s: %s", specification, error);
    port->receive = receive;
    port->room = room;
    port->device = bench;
    character_on_connect(port, connected, bench);
    return port;
}

static void write_text(struct character_port *port, const char *text)
{
    character_write(port, (const uint8_t *)text, strlen(text));
}

static int dial(struct bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, bench->path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof(address))) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

/* loop_quit() is for good: one run for each test. */
static void run(struct bench *bench, int waits_for)
{
    bench->waits_for = waits_for;
    loop_run(bench->loop);
}

static void test_specifications(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *specification, *says;
    } bad[] = {
        {"bogus", "no character device"},
        {"unix:", "address is missing"},
        {"unix:/x,sever=on", "Invalid parameter 'sever'"},
        {"unix:/x,server=maybe", "expects 'on' or 'off'"},
        {"chardev:x", "chardev 'x' not found"},
        {"tcp:127.0.0.1", "port is missing"},
        {"file:/no/such/folder/x", "No such file"},
        {"unix:/no/such/folder/x,server=on,wait=off", "No such file"},
        {"unix:/no/such/folder/x", "cannot connect"},
        {"unix:/"
         "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "9"
         "0123456789,server=on",
         "too long: it has 111 bytes, at most 107"},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char error[256] = "";
        assert_null(character_open(bench->characters, "test", bad[i].specification, error, sizeof(error)));
        if (!strstr(error, bad[i].says) || strchr(error, '\n'))
            fail_msg("%s: %s", bad[i].specification, error);
    }
    static const char *const nothing[] = {"none", "null", "vc"};
    for (unsigned i = 0; i < 3; i++) {
        struct character_port *port = open_port(bench, nothing[i]);
        write_text(port, "into the void");
        character_close(port);
    }
}

static void test_file(void **state)
{
    struct bench *bench = *state;
    char text[32] = "";
    struct character_port *port = open_port(bench, "file:%s");
    write_text(port, "one ");
    write_text(port, "two");
    character_close(port);
    FILE *file = fopen(bench->path, "r");
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "one two");
}

static void test_unix_server(void **state)
{
    struct bench *bench = *state;
    char bytes[16];
    struct character_port *port = open_port(bench, "unix:%s,server,nowait");
    write_text(port, "nobody hears this");
    int client = dial(bench);
    run(bench, 1);
    assert_int_equal(bench->connections, 1);
    write_text(port, "hello");
    assert_int_equal(read(client, bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(write(client, "abc", 3), 3);
    character_close(port);
    assert_int_equal(read(client, bytes, sizeof(bytes)) <= 0, 1);
    close(client);
    struct stat status;
    assert_int_equal(stat(bench->path, &status), -1);
}

static void test_input_waits_for_room(void **state)
{
    struct bench *bench = *state;
    struct character_port *port = open_port(bench, "unix:%s,server=on,wait=off");
    int client = dial(bench);
    bench->room = 2;
    assert_int_equal(write(client, "abcdef", 6), 6);
    run(bench, 3); /* the connection and two bytes */
    assert_int_equal(bench->got_count, 2);
    assert_memory_equal(bench->got, "ab", 2);
    character_close(port);
    close(client);
}

static void test_next_connection(void **state)
{
    struct bench *bench = *state;
    struct character_port *port = open_port(bench, "unix:%s,server=on,wait=off");
    int first = dial(bench), second = dial(bench);
    close(first);
    run(bench, 2);
    assert_int_equal(bench->connections, 2);
    close(second);
    character_close(port);
}

static void test_slow_reader_never_blocks(void **state)
{
    struct bench *bench = *state;
    struct character_port *port = open_port(bench, "unix:%s,server=on,wait=off");
    int client = dial(bench);
    run(bench, 1);
    static uint8_t block[65536];
    for (unsigned i = 0; i < 64; i++) {
        memset(block, (int)i, sizeof(block));
        character_write(port, block, sizeof(block));
    }
    /* What came first went into the socket; of the rest the newest are kept, a megabyte of them. */
    character_close(port);
    size_t total = 0;
    ssize_t count;
    while ((count = read(client, block, sizeof(block))) > 0)
        total += (size_t)count;
    assert_true(total > 0 && total < 64 * sizeof(block));
    close(client);
}

static void test_stale_socket_is_replaced(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, bench->path);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
    close(stale);
    struct character_port *port = open_port(bench, "unix:%s,server=on,wait=off");
    /* One that is in use is not. */
    char error[256], specification[128];
    snprintf(specification, sizeof(specification), "unix:%s,server=on,wait=off", bench->path);
    assert_null(character_open(bench->characters, "test", specification, error, sizeof(error)));
    assert_non_null(strstr(error, "in use"));
    character_close(port);
    /* And what is no socket stays. */
    close(open(bench->path, O_CREAT | O_WRONLY, 0600));
    assert_null(character_open(bench->characters, "test", specification, error, sizeof(error)));
    struct stat status;
    assert_int_equal(stat(bench->path, &status), 0);
}

/* -chardev: each by its name, for one device, unless it is shared. */
static void test_named(void **state)
{
    struct bench *bench = *state;
    struct settings *list = NULL;
    char text[128], error[256] = "";
    snprintf(text, sizeof(text), "socket,id=agent,path=%s,server=on,wait=off", bench->path);
    settings_append(&list, settings_parse("-chardev", text, "backend"));
    settings_append(&list, settings_parse("-chardev", "null,id=nothing", "backend"));
    struct characters *characters = characters_create(bench->loop, NULL, list, error, sizeof(error));
    assert_non_null(characters);
    int client = dial(bench); /* it listens before anybody has asked for it */
    assert_true(client >= 0);
    struct character_port *port = character_take(characters, "device", "agent", error, sizeof(error));
    assert_non_null(port);
    assert_null(character_open(characters, "other", "chardev:agent", error, sizeof(error)));
    assert_string_equal(error, "chardev 'agent' is in use by another device");
    assert_null(character_take(characters, "other", "agnet", error, sizeof(error)));
    assert_string_equal(error, "chardev 'agnet' not found");
    assert_false(port->is_there);
    port->receive = receive;
    port->room = room;
    port->device = bench;
    assert_int_equal(write(client, "abc", 3), 3);
    run(bench, 3);
    assert_true(port->is_there);
    character_close(port);
    characters_destroy(characters);
    close(client);
    settings_free_all(list);
}

static void test_named_badly(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *first, *second, *says;
    } bad[] = {
        {"null", NULL, "Parameter 'id' is missing"},
        {"null,id=a", "null,id=a", "Duplicate ID 'a'"},
        {"nill,id=a", NULL, "there are null, stdio"},
        {"null,id=a,foo=1", NULL, "Invalid parameter 'foo'"},
        {"socket,id=a", NULL, "address is missing"},
        {"socket,id=a,host=127.0.0.1", NULL, "address is missing"},
        {"file,id=a,path=/no/such/folder/x", NULL, "No such file"},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct settings *list = NULL;
        char error[512] = "";
        settings_append(&list, settings_parse("-chardev", bad[i].first, "backend"));
        if (bad[i].second)
            settings_append(&list, settings_parse("-chardev", bad[i].second, "backend"));
        assert_null(characters_create(bench->loop, NULL, list, error, sizeof(error)));
        if (!strstr(error, bad[i].says))
            fail_msg("%s: %s", bad[i].first, error);
        settings_free_all(list);
    }
}

static void test_tcp(void **state)
{
    struct bench *bench = *state;
    struct character_port *port = open_port(bench, "tcp:127.0.0.1:0,server=on,wait=off");
    character_close(port);
}

static void test_pty(void **state)
{
    struct bench *bench = *state;
    char said[256], name[64], bytes[16];
    /* Its name is only said on stderr. */
    int kept = dup(STDERR_FILENO), pipes[2];
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    struct character_port *port = open_port(bench, "pty");
    dup2(kept, STDERR_FILENO);
    ssize_t count = read(pipes[0], said, sizeof(said) - 1);
    assert_true(count > 0);
    said[count] = 0;
    assert_int_equal(sscanf(strstr(said, "/dev/"), "%63s", name), 1);
    int other = open(name, O_RDWR | O_NOCTTY);
    assert_true(other >= 0);
    assert_int_equal(write(other, "hi\r", 3), 3);
    run(bench, 4);
    assert_memory_equal(bench->got, "hi\r", 3);
    write_text(port, "yes\n");
    assert_int_equal(read(other, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "yes\n", 4);
    close(other);
    close(kept);
    close(pipes[0]);
    close(pipes[1]);
    character_close(port);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_specifications),
        TEST(test_file),
        TEST(test_unix_server),
        TEST(test_input_waits_for_room),
        TEST(test_next_connection),
        TEST(test_slow_reader_never_blocks),
        TEST(test_stale_socket_is_replaced),
        TEST(test_named),
        TEST(test_named_badly),
        TEST(test_tcp),
        TEST(test_pty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
