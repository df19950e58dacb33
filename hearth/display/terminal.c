/*
 * The guest's screen and keyboard in the terminal. The screen is looked at by a tick of the event loop: often while
 * keys are typed or something changes, seldom while nothing does (pace.h). What is typed waits in a queue (typing.h).
 */
#include "display/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "display/pace.h"
#include "display/terminal-keys.h"
#include "display/terminal-paint.h"
#include "display/typing.h"

enum { ESCAPE_ALONE = 40, MESSAGE_FOR = 5000 }; /* milliseconds */
enum { MESSAGE_SIZE = 160, PENDING_MOST = 32768 };

#define ENTER "\033[?1049h\033[?7l\033[0m\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

struct terminal_display {
    struct terminal *terminal;
    struct loop *loop;
    const struct display_source *source;
    struct painter painter;
    struct display_view *view; /* while there is a picture */
    bool picture_painted;      /* and it is on the terminal as the view has it */
    struct terminal_keys keys;
    struct typing typing;
    bool focused;
    struct pace pace;
    unsigned look_every;
    uint64_t message_until; /* in pace_now()'s time */
    char message[MESSAGE_SIZE];
};

/* ---- the screen */

static void look(void *opaque);

static void look_at_pace(struct terminal_display *display)
{
    unsigned every = pace_interval(&display->pace);
    if (every == display->look_every)
        return;
    display->look_every = every;
    loop_every(display->loop, every, look, display);
}

static void view_close(struct terminal_display *display)
{
    if (display->view)
        display->source->view_close(display->view);
    display->view = NULL;
    display->picture_painted = false;
}

/* What the terminal should show. False if that is a picture in which nothing is new. */
static bool wanted_fill(struct terminal_display *display, bool says)
{
    struct text_screen screen;
    struct changes changes;
    if (display->source->text(display->source->device, &screen)) {
        view_close(display);
        painter_text(&display->painter, &screen);
        return true;
    }
    if (!display->view)
        display->view = display->source->view_open(display->source->device);
    const struct surface *picture = display->source->view_look(display->view, &changes);
    if (!changes.count && display->picture_painted && !says)
        return false;
    painter_picture(&display->painter, picture);
    display->picture_painted = !says;
    return true;
}

static void draw(struct terminal_display *display)
{
    bool says = display->message[0] && pace_now() < display->message_until;
    if (!wanted_fill(display, says))
        return;
    if (says)
        painter_line(&display->painter, display->message);
    painter_paint(&display->painter);
    if (!display->painter.count)
        return;
    pace_changed(&display->pace);
    terminal_write(display->terminal, display, display->painter.bytes, display->painter.count);
}

static void look(void *opaque)
{
    struct terminal_display *display = opaque;
    /* A slow line gets fewer pictures, not a growing queue of old ones. */
    if (terminal_pending(display->terminal) < PENDING_MOST)
        draw(display);
    look_at_pace(display);
}

static void resized(void *opaque, unsigned columns, unsigned rows)
{
    struct terminal_display *display = opaque;
    terminal_enter(display->terminal, ENTER, LEAVE);
    painter_resize(&display->painter, columns, rows);
    display->picture_painted = false;
    draw(display);
}

/* ---- keys */

static void pressed(void *opaque, const struct key_press *press)
{
    struct terminal_display *display = opaque;
    typing_add(&display->typing, press);
}

static void drained(void *opaque)
{
    struct terminal_display *display = opaque;
    terminal_drained(display->terminal);
}

static void settle(void *opaque)
{
    struct terminal_display *display = opaque;
    loop_every(display->loop, 0, settle, display);
    terminal_keys_settle(&display->keys);
}

/* A byte makes at most one key press. */
static size_t room(void *opaque)
{
    const struct terminal_display *display = opaque;
    return typing_room(&display->typing);
}

static void input(void *opaque, const uint8_t *bytes, size_t count)
{
    struct terminal_display *display = opaque;
    pace_typed(&display->pace);
    terminal_keys_feed(&display->keys, bytes, count);
    loop_every(display->loop, terminal_keys_waiting(&display->keys) ? ESCAPE_ALONE : 0, settle, display);
    look_at_pace(display);
}

/* ---- being a client of the terminal */

static void focus(void *opaque, bool focused)
{
    struct terminal_display *display = opaque;
    unsigned columns, rows;
    display->focused = focused;
    if (focused) {
        terminal_size(display->terminal, &columns, &rows);
        display->look_every = 0;
        resized(display, columns, rows);
        look_at_pace(display);
    } else {
        loop_every(display->loop, 0, look, display);
        view_close(display);
        terminal_leave(display->terminal);
    }
}

static void help(void *opaque, const char *text)
{
    terminal_display_say(opaque, text);
}

struct terminal_display *terminal_display_create(struct terminal *terminal, struct loop *loop,
                                                 const struct display_source *source,
                                                 const struct input_sink *input_sink, char *error,
                                                 unsigned long error_size)
{
    struct terminal_display *display = allocate(sizeof(*display));
    *display = (struct terminal_display){.terminal = terminal, .loop = loop, .source = source};
    typing_init(&display->typing, loop, input_sink);
    display->typing.drained = drained;
    display->typing.opaque = display;
    display->keys = (struct terminal_keys){.opaque = display, .pressed = pressed};
    const struct terminal_client client = {
        .name = "screen",
        .opaque = display,
        .input = input,
        .room = room,
        .focus = focus,
        .resized = resized,
        .help = help,
        .mux = true,
        .whole_screen = true,
    };
    const char *why = NULL;
    if (!terminal_is_interactive(terminal))
        why = "standard input and output are no terminal; -display none or -nographic work without";
    else if (!painter_init(&display->painter))
        why = "TERM names no terminal that can place characters; -nographic works without";
    else if (!terminal_add(terminal, &client))
        why = "something else has the terminal for itself; mon:stdio shares it";
    if (!why) {
        terminal_focus(terminal, display);
        return display;
    }
    snprintf(error, error_size, "%s", why);
    free(display);
    return NULL;
}

void terminal_display_destroy(struct terminal_display *display)
{
    if (!display)
        return;
    terminal_remove(display->terminal, display);
    loop_every(display->loop, 0, look, display);
    typing_stop(&display->typing);
    loop_every(display->loop, 0, settle, display);
    painter_free(&display->painter);
    view_close(display);
    free(display);
}

void terminal_display_say(struct terminal_display *display, const char *text)
{
    snprintf(display->message, sizeof(display->message), "%s", text);
    display->message_until = pace_now() + MESSAGE_FOR;
    if (display->focused)
        draw(display);
}
