#include "display/viewer.h"

#include <ctype.h>

enum {
    CONTROL = 0x1d,
    CONTROL_RIGHT = KEY_EXTENDED | CONTROL,
    ALT = 0x38,
    ALT_RIGHT = KEY_EXTENDED | ALT,
    SHIFT = 0x2a,
    SHIFT_RIGHT = 0x36,
    CAPS_LOCK = 0x3a,
    LETTER_V = 0x2f,
    PREFIXED = 0x80, /* in `down` */
};

enum { /* RFC 6143, 7.5.5 */
       MASK_LEFT = 1 << 0,
       MASK_MIDDLE = 1 << 1,
       MASK_RIGHT = 1 << 2,
       MASK_WHEEL_UP = 1 << 3,
       MASK_WHEEL_DOWN = 1 << 4,
       MASK_SIDE = 1 << 7,
       MASK_EXTRA = 1 << 8,
};

/* ---- keys */

static bool *held(struct viewer *viewer, uint16_t key)
{
    return &viewer->down[(key & 0x7f) | (key >= KEY_EXTENDED ? PREFIXED : 0)];
}

static void send(const struct viewer *viewer, uint16_t key, bool down)
{
    viewer->input->key(viewer->input->device, key, down);
}

/* Pause shares its place with a key that does not exist, so it may be noted like the others. */
static void press(struct viewer *viewer, uint16_t key, bool down)
{
    if (!down && !*held(viewer, key))
        return;
    if (key == CAPS_LOCK && down && !*held(viewer, key))
        viewer->caps_lock = !viewer->caps_lock;
    *held(viewer, key) = down;
    send(viewer, key, down);
}

void viewer_release(struct viewer *viewer)
{
    for (unsigned i = 0; i < VIEWER_KEYS; i++) {
        if (viewer->down[i])
            send(viewer, (uint16_t)(i & PREFIXED ? KEY_EXTENDED | (i & 0x7f) : i), false);
        viewer->down[i] = false;
    }
    viewer->level_3 = false;
    if (viewer->buttons)
        viewer_steps(viewer, 0, 0, 0);
}

static bool wants_paste(struct viewer *viewer, uint16_t key)
{
    return key == LETTER_V && viewer->paste && (*held(viewer, CONTROL) || *held(viewer, CONTROL_RIGHT)) &&
           (*held(viewer, ALT) || *held(viewer, ALT_RIGHT));
}

void viewer_key(struct viewer *viewer, uint16_t key, bool down)
{
    if (!key)
        return;
    if (down && wants_paste(viewer, key)) {
        viewer_release(viewer);
        viewer->paste(viewer->opaque);
        return;
    }
    press(viewer, key, down);
}

/* What is held and would make another character of the key is let go of for a moment. */
static void press_character(struct viewer *viewer, uint16_t key, bool shift)
{
    static const uint16_t modifiers[] = {SHIFT, SHIFT_RIGHT, ALT_RIGHT};
    bool shifted = *held(viewer, SHIFT) || *held(viewer, SHIFT_RIGHT);
    bool away[3] = {!shift && *held(viewer, SHIFT), !shift && *held(viewer, SHIFT_RIGHT), viewer->level_3};

    for (unsigned i = 0; i < 3; i++)
        if (away[i])
            send(viewer, modifiers[i], false);
    if (shift && !shifted)
        send(viewer, SHIFT, true);
    press(viewer, key, true);
    if (shift && !shifted)
        send(viewer, SHIFT, false);
    for (unsigned i = 0; i < 3; i++)
        if (away[i])
            send(viewer, modifiers[i], true);
}

/* Only characters say what Shift is to be: with Ctrl or Alt a key is a command, and stays as it was typed. */
static bool is_character(struct viewer *viewer, uint32_t keysym)
{
    return keysym > ' ' && keysym < 0x7f && !*held(viewer, CONTROL) && !*held(viewer, CONTROL_RIGHT) &&
           !*held(viewer, ALT) && (!*held(viewer, ALT_RIGHT) || viewer->level_3);
}

void viewer_keysym(struct viewer *viewer, uint32_t keysym, bool down)
{
    struct key_press typed = key_for_keysym(keysym);
    bool shift = typed.modifiers & MODIFIER_SHIFT;
    if (!typed.key)
        return;
    if (typed.key == ALT_RIGHT)
        viewer->level_3 = down && (keysym == KEYSYM_LEVEL_3 || keysym == KEYSYM_MODE_SWITCH);
    if (!down || wants_paste(viewer, typed.key) || !is_character(viewer, keysym)) {
        viewer_key(viewer, typed.key, down);
        return;
    }
    if (isalpha((int)keysym) && viewer->caps_lock)
        shift = !shift;
    press_character(viewer, typed.key, shift);
}

/* ---- the pointer */

static unsigned buttons_of(unsigned mask)
{
    return (mask & MASK_LEFT ? BUTTON_LEFT : 0) | (mask & MASK_MIDDLE ? BUTTON_MIDDLE : 0) |
           (mask & MASK_RIGHT ? BUTTON_RIGHT : 0) | (mask & MASK_SIDE ? BUTTON_SIDE : 0) |
           (mask & MASK_EXTRA ? BUTTON_EXTRA : 0);
}

/* The wheel's notches: each press of its "buttons" is one. */
static int wheel_of(const struct viewer *viewer, unsigned mask)
{
    unsigned pressed = mask & ~viewer->mask;
    return (pressed & MASK_WHEEL_DOWN ? 1 : 0) - (pressed & MASK_WHEEL_UP ? 1 : 0);
}

static void point(struct viewer *viewer, struct pointer_event *event, unsigned mask)
{
    event->wheel = wheel_of(viewer, mask);
    event->buttons = buttons_of(mask);
    viewer->mask = mask;
    viewer->buttons = event->buttons;
    if (viewer->input->pointer)
        viewer->input->pointer(viewer->input->device, event);
}

void viewer_steps(struct viewer *viewer, int x, int y, unsigned mask)
{
    struct pointer_event event = {.x = x, .y = y};
    point(viewer, &event, mask);
}

static int scale_position(int at, int size)
{
    if (at < 0 || size < 2)
        return 0;
    return at >= size ? POSITION_MOST : (int)((int64_t)at * POSITION_MOST / (size - 1));
}

void viewer_pointer(struct viewer *viewer, int x, int y, int width, int height, unsigned mask)
{
    const struct input_sink *input = viewer->input;
    struct pointer_event event = {.absolute = input->wants_absolute && input->wants_absolute(input->device)};
    if (event.absolute) {
        event.x = scale_position(x, width);
        event.y = scale_position(y, height);
    } else if (viewer->placed) {
        event.x = x - viewer->x;
        event.y = y - viewer->y;
    }
    viewer->x = x;
    viewer->y = y;
    viewer->placed = true;
    point(viewer, &event, mask);
}
