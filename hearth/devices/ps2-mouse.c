/*
 * The mouse: commands, stream and remote mode, wrap mode, scaling; a wheel (id 3, IntelliMouse) and two buttons more (id 4,
 * IntelliMouse Explorer) after the sample rates that ask for them. Movements wait in a ring of reports, so that a click
 * is seen however slowly the guest reads; steps are added to the last one while no button changes.
 *
 * Left out: that the sample rate and the resolution mean something; reports go as fast as they are taken.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft, "Windows and the 5-Button Wheel Mouse".
 */
#include "devices/ps2-mouse.h"

#include <string.h>

enum {
    SET_SCALING_1 = 0xe6,
    SET_SCALING_2 = 0xe7,
    SET_RESOLUTION = 0xe8,
    STATUS_REQUEST = 0xe9,
    SET_STREAM_MODE = 0xea,
    READ_DATA = 0xeb,
    RESET_WRAP_MODE = 0xec,
    SET_WRAP_MODE = 0xee,
    SET_REMOTE_MODE = 0xf0,
    READ_ID = 0xf2,
    SET_RATE = 0xf3,
    ENABLE = 0xf4,
    DISABLE = 0xf5,
    SET_DEFAULT = 0xf6,
    RESEND = 0xfe,
    RESET = 0xff,

    ACKNOWLEDGE = 0xfa,
    NO_COMMAND = 0xfe,
    SELF_TEST_PASSED = 0xaa,

    ID_PLAIN = 0x00,
    ID_WHEEL = 0x03,
    ID_FIVE_BUTTONS = 0x04,

    RATE_DEFAULT = 100,
    RESOLUTION_DEFAULT = 2, /* 4 counts a millimetre */

    STATUS_REMOTE = 0x40,
    STATUS_ENABLED = 0x20,
    STATUS_SCALING = 0x10,

    /* The first byte of a report. */
    REPORT_ALWAYS = 0x08,
    REPORT_X_SIGN = 0x10,
    REPORT_Y_SIGN = 0x20,
    STEPS_MOST = 255,

    /* The fourth, id 4: four bits of wheel, then the two buttons. */
    REPORT_SIDE = 0x10,
    REPORT_EXTRA = 0x20,
    WHEEL_MOST = 7,
};

static void reply(struct ps2_mouse *mouse, uint8_t byte)
{
    if (mouse->replies < PS2_MOUSE_REPLIES)
        mouse->reply[mouse->replies++] = byte;
}

/* ---- reports */

static int clamp(int value, int most)
{
    return value < -most ? -most : value > most ? most : value;
}

static unsigned buttons_known(const struct ps2_mouse *mouse, unsigned buttons)
{
    return buttons &
           (mouse->id == ID_FIVE_BUTTONS ? BUTTONS_ALL : BUTTON_LEFT | BUTTON_RIGHT | BUTTON_MIDDLE);
}

void ps2_mouse_event(struct ps2_mouse *mouse, const struct pointer_event *event)
{
    if (!mouse->reporting && !mouse->remote)
        return;
    struct pointer_event *last = &mouse->event[(mouse->first + mouse->count - 1) % PS2_MOUSE_EVENTS];
    if (mouse->count && (last->buttons == event->buttons || mouse->count == PS2_MOUSE_EVENTS)) {
        last->x = clamp(last->x + event->x, INT16_MAX);
        last->y = clamp(last->y + event->y, INT16_MAX);
        last->wheel = clamp(last->wheel + event->wheel, INT16_MAX);
        last->buttons = event->buttons;
        return;
    }
    mouse->event[(mouse->first + mouse->count++) % PS2_MOUSE_EVENTS] = *event;
}

void ps2_mouse_nudge(struct ps2_mouse *mouse)
{
    if (mouse->reporting && !mouse->count)
        mouse->event[(mouse->first + mouse->count++) % PS2_MOUSE_EVENTS] =
            (struct pointer_event){.absolute = true, .buttons = mouse->buttons};
}

/* Scaling 2:1 as the reference has it, in stream mode. */
static int scaled(const struct ps2_mouse *mouse, int steps)
{
    static const int small[] = {0, 1, 1, 3, 6, 9};
    int size = steps < 0 ? -steps : steps;
    if (!mouse->scaling || mouse->remote)
        return steps;
    size = size < 6 ? small[size] : size * 2 > STEPS_MOST ? STEPS_MOST : size * 2;
    return steps < 0 ? -size : size;
}

/* What of the first event goes into one report; the rest stays. */
static void report_make(struct ps2_mouse *mouse)
{
    struct pointer_event none = {.buttons = mouse->buttons};
    struct pointer_event *event = mouse->count ? &mouse->event[mouse->first] : &none;
    int x = clamp(event->x, STEPS_MOST), y = clamp(event->y, STEPS_MOST);
    int wheel = clamp(event->wheel, WHEEL_MOST);
    unsigned buttons = mouse->buttons = event->buttons;

    event->x -= x;
    event->y -= y;
    event->wheel -= wheel;
    if (mouse->count && (mouse->id == ID_PLAIN || !event->wheel) && !event->x && !event->y) {
        mouse->first = (mouse->first + 1) % PS2_MOUSE_EVENTS;
        mouse->count--;
    }
    x = scaled(mouse, x);
    y = scaled(mouse, -y); /* a mouse counts upwards */
    mouse->packet[0] =
        (uint8_t)(REPORT_ALWAYS | (buttons & 7) | (x < 0 ? REPORT_X_SIGN : 0) | (y < 0 ? REPORT_Y_SIGN : 0));
    mouse->packet[1] = (uint8_t)x;
    mouse->packet[2] = (uint8_t)y;
    mouse->packet[3] = (uint8_t)wheel;
    if (mouse->id == ID_FIVE_BUTTONS)
        mouse->packet[3] = (uint8_t)((wheel & 0x0f) | (buttons & BUTTON_SIDE ? REPORT_SIDE : 0) |
                                     (buttons & BUTTON_EXTRA ? REPORT_EXTRA : 0));
    mouse->packet_at = 0;
    mouse->packet_length = mouse->id == ID_PLAIN ? 3 : 4;
}

/* Events of which nothing can be told (a wheel that is not asked for, a fifth button) are dropped; a nudge is reported. */
static bool report_waits(struct ps2_mouse *mouse)
{
    while (mouse->count) {
        const struct pointer_event *event = &mouse->event[mouse->first];
        if (event->x || event->y || (event->wheel && mouse->id != ID_PLAIN) ||
            buttons_known(mouse, event->buttons) != buttons_known(mouse, mouse->buttons) || event->absolute)
            return true;
        mouse->first = (mouse->first + 1) % PS2_MOUSE_EVENTS;
        mouse->count--;
    }
    return false;
}

bool ps2_mouse_read(struct ps2_mouse *mouse, uint8_t *byte)
{
    if (mouse->replies) {
        *byte = mouse->reply[0];
        memmove(mouse->reply, mouse->reply + 1, --mouse->replies);
    } else {
        if (mouse->packet_at == mouse->packet_length && mouse->reporting && !mouse->remote &&
            report_waits(mouse))
            report_make(mouse);
        if (mouse->packet_at == mouse->packet_length)
            return false;
        *byte = mouse->packet[mouse->packet_at++];
    }
    mouse->last = *byte;
    return true;
}

/* ---- commands */

static void forget(struct ps2_mouse *mouse)
{
    mouse->count = mouse->packet_at = mouse->packet_length = 0;
}

static void set_defaults(struct ps2_mouse *mouse)
{
    forget(mouse);
    memset(mouse->rate, RATE_DEFAULT, sizeof(mouse->rate));
    mouse->resolution = RESOLUTION_DEFAULT;
    mouse->reporting = mouse->remote = mouse->scaling = mouse->wrap = false;
}

void ps2_mouse_power_on(struct ps2_mouse *mouse)
{
    set_defaults(mouse);
    mouse->id = ID_PLAIN;
    mouse->command = 0;
    mouse->replies = mouse->buttons = 0;
}

static void set_rate(struct ps2_mouse *mouse, uint8_t rate)
{
    static const uint8_t wheel[] = {200, 100, 80}, five_buttons[] = {200, 200, 80};
    memmove(mouse->rate, mouse->rate + 1, PS2_MOUSE_RATES - 1);
    mouse->rate[PS2_MOUSE_RATES - 1] = rate;
    if (!memcmp(mouse->rate, wheel, sizeof(wheel)) && mouse->id == ID_PLAIN)
        mouse->id = ID_WHEEL;
    else if (!memcmp(mouse->rate, five_buttons, sizeof(five_buttons)) && mouse->id == ID_WHEEL)
        mouse->id = ID_FIVE_BUTTONS;
}

static void status_send(struct ps2_mouse *mouse)
{
    /* The status has left and right the other way round. */
    unsigned buttons = (mouse->buttons & BUTTON_LEFT ? 4 : 0) | (mouse->buttons & BUTTON_MIDDLE ? 2 : 0) |
                       (mouse->buttons & BUTTON_RIGHT ? 1 : 0);
    reply(mouse, (uint8_t)(buttons | (mouse->remote ? STATUS_REMOTE : 0) |
                           (mouse->reporting ? STATUS_ENABLED : 0) | (mouse->scaling ? STATUS_SCALING : 0)));
    reply(mouse, mouse->resolution);
    reply(mouse, mouse->rate[PS2_MOUSE_RATES - 1]);
}

static void argument(struct ps2_mouse *mouse, uint8_t command, uint8_t byte)
{
    if (command == SET_RATE)
        set_rate(mouse, byte);
    else
        mouse->resolution = byte & 3;
    reply(mouse, ACKNOWLEDGE);
}

static void command(struct ps2_mouse *mouse, uint8_t byte)
{
    reply(mouse, ACKNOWLEDGE);
    switch (byte) {
    case SET_SCALING_1: mouse->scaling = false; break;
    case SET_SCALING_2: mouse->scaling = true; break;
    case SET_RESOLUTION:
    case SET_RATE: mouse->command = byte; break;
    case STATUS_REQUEST: status_send(mouse); break;
    case SET_STREAM_MODE:
        mouse->remote = false;
        forget(mouse);
        break;
    case READ_DATA:
        report_waits(mouse);
        report_make(mouse);
        break;
    case RESET_WRAP_MODE: mouse->wrap = false; break;
    case SET_WRAP_MODE: mouse->wrap = true; break;
    case SET_REMOTE_MODE:
        mouse->remote = true;
        forget(mouse);
        break;
    case READ_ID: reply(mouse, mouse->id); break;
    case ENABLE:
        mouse->reporting = true;
        forget(mouse);
        break;
    case DISABLE:
        mouse->reporting = false;
        forget(mouse);
        break;
    case SET_DEFAULT: set_defaults(mouse); break;
    case RESEND: mouse->reply[0] = mouse->last; break;
    case RESET:
        ps2_mouse_power_on(mouse);
        reply(mouse, ACKNOWLEDGE);
        reply(mouse, SELF_TEST_PASSED);
        reply(mouse, ID_PLAIN);
        break;
    default: mouse->reply[0] = NO_COMMAND; break;
    }
}

void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte)
{
    uint8_t pending = mouse->command;
    mouse->command = 0;
    mouse->replies = 0; /* a new byte from the controller ends what was being said, a report too */
    mouse->packet_at = mouse->packet_length;
    if (mouse->wrap && byte != RESET && byte != RESET_WRAP_MODE)
        reply(mouse, byte);
    else if (pending)
        argument(mouse, pending, byte);
    else
        command(mouse, byte);
}
