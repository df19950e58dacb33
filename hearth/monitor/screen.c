/* Commands about what a person sees and types: screendump, screentext, sendkey, mouse_move, mouse_button. */
#include "monitor/commands.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "display/keys.h"
#include "display/png.h"

enum { HOLD_DEFAULT = 100, HOLD_MOST = 60000 }; /* milliseconds */
enum { STEPS_MOST = 32767 };

static const struct display_source *source_get(struct call *call)
{
    const struct display_source *source = machine_display(call->machine);
    if (!source)
        call_error(call, "there is no display adapter (-vga none)");
    return source;
}

void command_screendump(struct call *call)
{
    enum picture_format format = PICTURE_BY_NAME;
    struct surface surface = {0};
    char path[1024] = "", word[1024], error[1200];

    while (argument_left(call) || !path[0]) {
        if (!argument_word(call, "filename", word, sizeof(word)))
            return;
        if (strcmp(word, "-f")) {
            memcpy(path, word, sizeof(path));
        } else if (!argument_word(call, "format", word, sizeof(word))) {
            return;
        } else if (!picture_format_named(word, &format)) {
            call_error(call, "Invalid parameter '%s': the formats are png and ppm", word);
            return;
        }
    }
    const struct display_source *source = source_get(call);
    if (!source)
        return;
    surface_take(source, &surface);
    if (!picture_write(&surface, path, format, error, sizeof(error)))
        call_error(call, "%s", error);
    surface_free(&surface);
}

/* Code page 437 as far as it is ASCII; the rest would need a table and a terminal that has it. */
static char plain(uint8_t character)
{
    return character >= ' ' && character < 0x7f ? (char)character : character ? '?' : ' ';
}

void command_screentext(struct call *call)
{
    struct text_screen *screen = calloc(1, sizeof(*screen));
    const struct display_source *source = source_get(call);
    if (source && screen && !source->text(source->device, screen))
        call_error(call, "the screen is in a graphics mode; screendump shows it");
    else if (source && screen)
        for (unsigned row = 0; row < screen->rows; row++) {
            unsigned length = screen->columns;
            while (length && plain(screen->character[row][length - 1]) == ' ')
                length--;
            for (unsigned column = 0; column < length; column++)
                fputc(plain(screen->character[row][column]), call->out);
            fputc('\n', call->out);
        }
    free(screen);
}

void command_sendkey(struct call *call)
{
    uint16_t keys[KEYS_AT_ONCE];
    char combination[256];
    const char *bad;
    size_t bad_length;
    uint64_t milliseconds = HOLD_DEFAULT;

    if (!argument_word(call, "keys", combination, sizeof(combination)) ||
        (argument_left(call) && !argument_number(call, "hold-time", &milliseconds)))
        return;
    unsigned count = keys_parse(combination, keys, &bad, &bad_length);
    if (!count) {
        call_error(call, "invalid parameter: %.*s", (int)bad_length, bad);
        return;
    }
    if (milliseconds > HOLD_MOST)
        call_error(call, "hold-time is at most %d milliseconds", HOLD_MOST);
    else if (!machine_press_keys(call->machine, keys, count, milliseconds))
        call_error(call, "too many keys wait to be pressed");
}

/* A whole number with a sign: an expression would take "5 -3" for one. */
static bool argument_steps(struct call *call, const char *what, int *steps)
{
    char word[32], *end;
    if (!argument_word(call, what, word, sizeof(word)))
        return false;
    long value = strtol(word, &end, 0);
    if (end == word || *end || value < -STEPS_MOST || value > STEPS_MOST) {
        call_error(call, "%s: '%s' is no number from -%d to %d", what, word, STEPS_MOST, STEPS_MOST);
        return false;
    }
    *steps = (int)value;
    return true;
}

void command_mouse_move(struct call *call)
{
    int x, y, away = 0;
    if (!argument_steps(call, "dx", &x) || !argument_steps(call, "dy", &y) ||
        (argument_left(call) && !argument_steps(call, "dz", &away)))
        return;
    machine_move_pointer(call->machine, x, y, -away);
}

void command_mouse_button(struct call *call)
{
    int state;
    if (!argument_steps(call, "button-state", &state))
        return;
    machine_press_buttons(call->machine, (state & 1 ? BUTTON_LEFT : 0) | (state & 2 ? BUTTON_MIDDLE : 0) |
                                             (state & 4 ? BUTTON_RIGHT : 0));
}
