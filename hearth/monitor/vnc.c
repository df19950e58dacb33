/* Commands about the VNC server: info vnc, change vnc password, set_password. */
#include "display/vnc.h"

#include <string.h>

#include "monitor/commands.h"

enum { WORD_SIZE = 256 };

static struct vnc_server *server_get(struct call *call)
{
    struct vnc_server *server = machine_vnc(call->machine);
    if (!server)
        call_error(call, "there is no VNC server (-vnc)");
    return server;
}

static void password_set(struct call *call)
{
    char password[WORD_SIZE];
    struct vnc_server *server = server_get(call);
    if (!server || !argument_word(call, "password", password, sizeof(password)))
        return;
    if (!vnc_server_set_password(server, password))
        call_error(call, "the VNC server asks for no password; -vnc ...,password=on does");
}

void command_change_vnc(struct call *call)
{
    char word[WORD_SIZE];
    if (!argument_word(call, "password", word, sizeof(word)))
        return;
    if (strcmp(word, "password"))
        call_error(call, "of vnc only the password can be changed");
    else
        password_set(call);
}

/* What follows the password (keep, fail, disconnect) is for those who are connected; they always stay. */
void command_set_password(struct call *call)
{
    char word[WORD_SIZE];
    if (!argument_word(call, "protocol", word, sizeof(word)))
        return;
    if (strcmp(word, "vnc"))
        call_error(call, "Invalid parameter 'protocol': there is vnc");
    else
        password_set(call);
}

void info_vnc(struct call *call)
{
    struct vnc_server *server = machine_vnc(call->machine);
    if (server)
        vnc_server_print(server, call->out);
    else
        fprintf(call->out, "there is no VNC server (-vnc)\n");
}
