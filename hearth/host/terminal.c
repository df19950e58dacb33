/*
 * One owner of standard input and output. Raw mode lasts from the first client to terminal_destroy(); it is undone on
 * every way out that a program can see: a normal end, die(), a fatal signal, being stopped.
 */
#include "host/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "core/log.h"
#include "host/output.h"

enum {
    CLIENTS_MOST = 8,
    INPUT_AT_ONCE = 256,
    TYPED_MOST = 4096,
    LAST_WORDS_MILLISECONDS = 200,
    COLUMNS_UNSAID = 80,
    ROWS_UNSAID = 25,
    CONTROL_A = 0x01,
};

static const char help_text[] = "Ctrl-A: x leaves, c next (screen, monitor), b break, h help, Ctrl-A itself";

/* What signal handlers need to undo raw mode: they have no argument, so it lies at file scope. */
static struct {
    volatile sig_atomic_t raw;
    volatile sig_atomic_t wanted; /* raw mode comes back when hearth is continued */
    int descriptor;
    int notify; /* an eventfd: the size has changed, or hearth has been continued */
    struct termios found, ours;
    const char *volatile leaving;
} held;

struct terminal {
    struct loop *loop;
    struct terminal_escapes escapes;
    struct terminal_client clients[CLIENTS_MOST];
    unsigned count, focus;
    bool started, interactive, input_is_tty, reading, ended, escaped;
    /* Typed, but the client has no room yet. Reading goes on meanwhile so that Ctrl-A x is seen. */
    uint8_t typed[TYPED_MOST];
    size_t typed_count;
    int out; /* -1: nothing can be written any more */
    bool out_is_ours;
    struct output output, waiting; /* waiting: of clients behind one that has the whole screen */
};

/* ---- raw mode and its end */

void terminal_restore(void)
{
    int error = errno;
    if (held.raw) {
        held.raw = 0;
        const char *leaving = held.leaving;
        held.leaving = NULL;
        if (leaving && write(held.descriptor, leaving, strlen(leaving)) < 0) {
            /* Nothing more can be done for it. */
        }
        tcsetattr(held.descriptor, TCSANOW, &held.found);
    }
    errno = error;
}

static void on_fatal(int signal_number)
{
    terminal_restore();
    /* The handler has been reset: this time it does what it does. */
    raise(signal_number);
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    terminal_restore();
    raise(SIGSTOP);
}

static void on_notice(int signal_number)
{
    int error = errno;
    uint64_t one = 1;
    if (signal_number == SIGCONT && held.wanted && !held.raw &&
        !tcsetattr(held.descriptor, TCSANOW, &held.ours))
        held.raw = 1;
    if (write(held.notify, &one, sizeof(one)) < 0) {
        /* It is full: a notice waits already. */
    }
    errno = error;
}

/* Only where nobody else has a handler: who has one calls terminal_restore() himself. */
static void handle(int signal_number, void (*handler)(int), int flags)
{
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) || now.sa_handler != SIG_DFL)
        return;
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal_number, &action, NULL);
}

static void handle_signals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        handle(fatal[i], on_fatal, (int)SA_RESETHAND | SA_NODEFER);
    handle(SIGTSTP, on_stop, SA_RESTART);
    handle(SIGCONT, on_notice, SA_RESTART);
    handle(SIGWINCH, on_notice, SA_RESTART);
}

static void raw_mode(struct terminal *terminal)
{
    bool signals = true;
    for (unsigned i = 0; i < terminal->count; i++)
        signals = signals && !terminal->clients[i].mux;
    held.ours = held.found;
    held.ours.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    held.ours.c_oflag |= OPOST;
    held.ours.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        held.ours.c_lflag &= ~(tcflag_t)ISIG;
    held.ours.c_cc[VMIN] = 1;
    held.ours.c_cc[VTIME] = 0;
    held.raw = held.wanted = 1;
    tcsetattr(held.descriptor, TCSANOW, &held.ours);
}

/* ---- output */

/*
 * Standard output may be shared with the shell, so it must not be made non-blocking: a terminal or pipe is opened once
 * more. Regular files do not block, sockets are written with MSG_DONTWAIT.
 */
static void output_open(struct terminal *terminal)
{
    struct stat status;
    terminal->out = STDOUT_FILENO;
    if (fstat(STDOUT_FILENO, &status)) {
        terminal->out = -1;
        return;
    }
    if (!S_ISCHR(status.st_mode) && !S_ISFIFO(status.st_mode))
        return;
    int again = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (again < 0)
        return;
    terminal->out = again;
    terminal->out_is_ours = true;
}

static void output_ready(void *opaque, int descriptor, short events);

static void output_flush(struct terminal *terminal)
{
    if (terminal->out < 0) {
        output_free(&terminal->output);
        return;
    }
    switch (output_drain(&terminal->output, terminal->out)) {
    case OUTPUT_EMPTY: break;
    case OUTPUT_WAITS: loop_watch(terminal->loop, terminal->out, POLLOUT, output_ready, terminal); return;
    case OUTPUT_FAILED: output_free(&terminal->output); break;
    }
    loop_unwatch(terminal->loop, terminal->out);
}

static void output_ready(void *opaque, int descriptor, short events)
{
    struct terminal *terminal = opaque;
    (void)descriptor;
    if (events & (POLLERR | POLLNVAL)) { /* the reader has gone */
        loop_unwatch(terminal->loop, terminal->out);
        output_free(&terminal->output);
        return;
    }
    output_flush(terminal);
}

static struct terminal_client *focused(struct terminal *terminal)
{
    return terminal->count ? &terminal->clients[terminal->focus] : NULL;
}

void terminal_write(struct terminal *terminal, const void *opaque, const void *bytes, size_t count)
{
    const struct terminal_client *client = focused(terminal);
    if (client && client->whole_screen && client->opaque != opaque) {
        output_put(&terminal->waiting, bytes, count);
        return;
    }
    /* After terminal_restore() a picture has no place any more. */
    if (client && client->whole_screen && !held.raw)
        return;
    output_put(&terminal->output, bytes, count);
    output_flush(terminal);
}

size_t terminal_pending(const struct terminal *terminal)
{
    return terminal->output.count;
}

void terminal_enter(struct terminal *terminal, const char *enter, const char *leave)
{
    output_put(&terminal->output, enter, strlen(enter));
    output_flush(terminal);
    held.leaving = leave;
}

void terminal_leave(struct terminal *terminal)
{
    const char *leaving = held.leaving;
    held.leaving = NULL;
    if (leaving)
        output_put(&terminal->output, leaving, strlen(leaving));
    else
        output_free(
            &terminal->output); /* it has been left already: the rest of a picture would only spoil it */
    output_flush(terminal);
}

/* ---- input */

static void input_ready(void *opaque, int descriptor, short events);

static void read_more(struct terminal *terminal, bool wanted)
{
    if (terminal->ended || wanted == terminal->reading)
        return;
    terminal->reading = wanted;
    if (wanted)
        loop_watch(terminal->loop, STDIN_FILENO, POLLIN, input_ready, terminal);
    else
        loop_unwatch(terminal->loop, STDIN_FILENO);
}

/* Hands over what is typed as far as there is room. */
static void deliver(struct terminal *terminal)
{
    const struct terminal_client *client = focused(terminal);
    while (client && terminal->typed_count) {
        size_t count = client->room ? client->room(client->opaque) : terminal->typed_count;
        if (!count)
            break;
        if (count > terminal->typed_count)
            count = terminal->typed_count;
        uint8_t bytes[TYPED_MOST];
        memcpy(bytes, terminal->typed, count);
        terminal->typed_count -= count;
        memmove(terminal->typed, terminal->typed + count, terminal->typed_count);
        client->input(client->opaque, bytes, count);
    }
    read_more(terminal, client && terminal->typed_count < TYPED_MOST);
}

static bool is_shared(const struct terminal *terminal)
{
    for (unsigned i = 0; i < terminal->count; i++)
        if (terminal->clients[i].mux)
            return true;
    return false;
}

static void focus_index(struct terminal *terminal, unsigned index)
{
    struct terminal_client *old = focused(terminal);
    if (index == terminal->focus)
        return;
    if (old->focus)
        old->focus(old->opaque, false);
    terminal->focus = index;
    terminal->typed_count = 0;
    struct terminal_client *now = focused(terminal);
    if (!now->whole_screen && terminal->waiting.count) {
        output_move(&terminal->output, &terminal->waiting);
        output_flush(terminal);
    }
    if (now->focus)
        now->focus(now->opaque, true);
}

static void say_help(struct terminal *terminal)
{
    const struct terminal_client *client = focused(terminal);
    if (client->help) {
        client->help(client->opaque, help_text);
        return;
    }
    terminal_write(terminal, client->opaque, "\r\n", 2);
    terminal_write(terminal, client->opaque, help_text, sizeof(help_text) - 1);
    terminal_write(terminal, client->opaque, "\r\n", 2);
}

/* The key after Ctrl-A. */
static void escape(struct terminal *terminal, uint8_t key)
{
    const struct terminal_escapes *escapes = &terminal->escapes;
    switch (key) {
    case CONTROL_A: terminal->typed[terminal->typed_count++] = key; break;
    case 'c': focus_index(terminal, (terminal->focus + 1) % terminal->count); break;
    case 'x':
        if (escapes->quit)
            escapes->quit(escapes->opaque);
        break;
    case 'b':
        if (escapes->send_break)
            escapes->send_break(escapes->opaque);
        break;
    case 'h':
    case '?': say_help(terminal); break;
    default: break;
    }
}

/* At most as many bytes as `typed` has space for. */
static void take_input(struct terminal *terminal, const uint8_t *bytes, size_t count)
{
    bool shared = is_shared(terminal);
    for (size_t i = 0; i < count && terminal->count; i++) {
        if (terminal->escaped) {
            terminal->escaped = false;
            deliver(terminal); /* what stands before it is the old focus's */
            escape(terminal, bytes[i]);
        } else if (shared && bytes[i] == CONTROL_A) {
            terminal->escaped = true;
        } else {
            terminal->typed[terminal->typed_count++] = bytes[i];
        }
    }
    deliver(terminal);
}

static void input_ready(void *opaque, int descriptor, short events)
{
    struct terminal *terminal = opaque;
    uint8_t bytes[INPUT_AT_ONCE];
    size_t most = TYPED_MOST - terminal->typed_count;
    (void)events;
    if (!most) {
        read_more(terminal, false);
        return;
    }
    ssize_t count = read(descriptor, bytes, most < sizeof(bytes) ? most : sizeof(bytes));
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (count <= 0) {
        read_more(terminal, false);
        terminal->ended = true;
        return;
    }
    take_input(terminal, bytes, (size_t)count);
}

void terminal_drained(struct terminal *terminal)
{
    deliver(terminal);
}

/* ---- notices: size changed, continued */

static void notice_ready(void *opaque, int descriptor, short events)
{
    struct terminal *terminal = opaque;
    uint64_t value;
    unsigned columns, rows;
    (void)events;
    if (read(descriptor, &value, sizeof(value)) < 0)
        return;
    const struct terminal_client *client = focused(terminal);
    terminal_size(terminal, &columns, &rows);
    if (client && client->resized)
        client->resized(client->opaque, columns, rows);
}

/* ---- clients */

struct terminal *terminal_create(struct loop *loop)
{
    struct terminal *terminal = allocate(sizeof(*terminal));
    terminal->loop = loop;
    terminal->out = -1;
    terminal->output.label = terminal->waiting.label = "standard output";
    terminal->interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return terminal;
}

void terminal_set_escapes(struct terminal *terminal, const struct terminal_escapes *escapes)
{
    terminal->escapes = *escapes;
}

static void start(struct terminal *terminal)
{
    terminal->started = true;
    signal(SIGPIPE, SIG_IGN);
    output_open(terminal);
    terminal->ended = fcntl(STDIN_FILENO, F_GETFL) < 0;
    if (terminal->ended || tcgetattr(STDIN_FILENO, &held.found))
        return;
    terminal->input_is_tty = true;
    held.descriptor = STDIN_FILENO;
    held.notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (held.notify >= 0)
        loop_watch(terminal->loop, held.notify, POLLIN, notice_ready, terminal);
    log_before_exit = terminal_restore;
    handle_signals();
}

bool terminal_add(struct terminal *terminal, const struct terminal_client *client)
{
    if (terminal->count == CLIENTS_MOST)
        return false;
    for (unsigned i = 0; i < terminal->count; i++)
        if (!client->mux || !terminal->clients[i].mux)
            return false;
    if (!terminal->started)
        start(terminal);
    terminal->clients[terminal->count++] = *client;
    if (terminal->input_is_tty)
        raw_mode(terminal);
    read_more(terminal, true);
    if (terminal->count == 1 && client->focus)
        client->focus(client->opaque, true);
    return true;
}

static int client_index(const struct terminal *terminal, const void *opaque)
{
    for (unsigned i = 0; i < terminal->count; i++)
        if (terminal->clients[i].opaque == opaque)
            return (int)i;
    return -1;
}

void terminal_focus(struct terminal *terminal, const void *opaque)
{
    int index = client_index(terminal, opaque);
    if (index >= 0)
        focus_index(terminal, (unsigned)index);
}

void terminal_remove(struct terminal *terminal, const void *opaque)
{
    int index = client_index(terminal, opaque);
    if (index < 0)
        return;
    if ((unsigned)index == terminal->focus) {
        if (terminal->count > 1)
            focus_index(terminal, (terminal->focus + 1) % terminal->count);
        else if (terminal->clients[0].focus)
            terminal->clients[0].focus(terminal->clients[0].opaque, false);
    }
    terminal->count--;
    memmove(&terminal->clients[index], &terminal->clients[index + 1],
            (terminal->count - (unsigned)index) * sizeof(terminal->clients[0]));
    if (terminal->focus > (unsigned)index)
        terminal->focus--;
    if (!terminal->count)
        read_more(terminal, false);
}

bool terminal_is_interactive(const struct terminal *terminal)
{
    return terminal->interactive;
}

void terminal_size(const struct terminal *terminal, unsigned *columns, unsigned *rows)
{
    struct winsize size = {0};
    (void)terminal;
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *columns = size.ws_col ? size.ws_col : COLUMNS_UNSAID;
    *rows = size.ws_row ? size.ws_row : ROWS_UNSAID;
}

/* What was written last often says why: it gets a moment to go out. */
static void last_words(struct terminal *terminal)
{
    output_move(&terminal->output, &terminal->waiting);
    while (terminal->out >= 0 && output_drain(&terminal->output, terminal->out) == OUTPUT_WAITS) {
        struct pollfd writable = {terminal->out, POLLOUT, 0};
        if (poll(&writable, 1, LAST_WORDS_MILLISECONDS) <= 0)
            break;
    }
}

void terminal_destroy(struct terminal *terminal)
{
    while (terminal->count)
        terminal_remove(terminal, terminal->clients[terminal->count - 1].opaque);
    if (terminal->started) {
        last_words(terminal);
        terminal_restore();
        held.wanted = 0;
        loop_unwatch(terminal->loop, STDIN_FILENO);
        if (held.notify > 0)
            loop_unwatch(terminal->loop, held.notify);
        if (terminal->out >= 0)
            loop_unwatch(terminal->loop, terminal->out);
        if (terminal->out_is_ours)
            close(terminal->out);
    }
    output_free(&terminal->output);
    output_free(&terminal->waiting);
    free(terminal);
}
