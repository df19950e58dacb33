/*
 * A client of gdb's remote protocol for the lab, which has no gdb:   remote SOCKET [PACKET ANSWER]...
 * Each packet is sent and its answer has to begin with ANSWER ("*": any; "=TEXT": contains TEXT; "-": none is waited for). The
 * packet "interrupt" is a Ctrl-C. Prints TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connection;

static void send_packet(const char *text)
{
    unsigned char sum = 0;
    char end[4];
    for (const char *at = text; *at; at++)
        sum += (unsigned char)*at;
    snprintf(end, sizeof(end), "#%02x", sum);
    if (write(connection, "$", 1) != 1 || write(connection, text, strlen(text)) < 0 ||
        write(connection, end, 3) != 3)
        exit(puts("not ok 1 - the connection broke"));
}

/* Acknowledgements between packets are passed over. */
static void receive_packet(char *text, size_t size)
{
    size_t length = 0;
    char byte = 0;
    while (byte != '$')
        if (read(connection, &byte, 1) != 1)
            exit(puts("not ok 1 - the connection ended"));
    while (read(connection, &byte, 1) == 1 && byte != '#')
        if (length + 1 < size)
            text[length++] = byte;
    text[length] = '\0';
    if (read(connection, &byte, 1) != 1 || read(connection, &byte, 1) != 1)
        exit(puts("not ok 1 - the connection ended"));
}

static int fits(const char *answer, const char *wanted)
{
    if (!strcmp(wanted, "*"))
        return 1;
    if (*wanted == '=')
        return strstr(answer, wanted + 1) != NULL;
    return !strncmp(answer, wanted, strlen(wanted));
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static char answer[65536];
    int failed = 0;

    if (argc < 2)
        return 2;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
    connection = socket(AF_UNIX, SOCK_STREAM, 0);
    for (int tries = 0; connect(connection, (struct sockaddr *)&address, sizeof(address)); tries++) {
        if (tries == 300)
            exit(puts("not ok 1 - nobody listens"));
        usleep(100000);
    }
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "interrupt"))
            send_packet(argv[i]);
        else if (write(connection, "\003", 1) != 1)
            exit(puts("not ok 1 - the connection broke"));
        if (!strcmp(argv[i + 1], "-"))
            continue;
        receive_packet(answer, sizeof(answer));
        int good = fits(answer, argv[i + 1]);
        failed |= !good;
        printf("%s %d - %s answers %.80s\n", good ? "ok" : "not ok", i / 2, argv[i], answer);
        fflush(stdout);
    }
    return failed;
}
