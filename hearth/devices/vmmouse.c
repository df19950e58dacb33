/*
 * The backdoor: a guest reads port 5658h with a magic number in EAX, a command in CX and an argument in EBX; the answer is
 * in the registers. There are the version and the four commands of the pointer; other commands leave the registers alone,
 * as on a PC that has no such port, but for EAX.
 *
 * The pointer's packets have four words: buttons, x, y (0 to FFFFh over the screen), wheel. They wait in a ring; a movement
 * is added to the last packet while no button changes, so that it never lags. Left out: relative mode (there is the PS/2
 * mouse for that), and the restriction to privileged code, which is taken and not enforced.
 *
 * Source: Linux, include/asm/vmware.h (the backdoor's registers) and drivers/input/mouse/vmmouse.c (the commands and
 * packets), as documentation of the interface.
 */
#include "devices/vmmouse.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    PORT = 0x5658,
    PORT_SIZE = 4,
    MAGIC = 0x564d5868,

    COMMAND_VERSION = 10,
    COMMAND_POINTER_DATA = 39,
    COMMAND_POINTER_STATUS = 40,
    COMMAND_POINTER = 41,

    VERSION = 6,

    /* COMMAND_POINTER's arguments. */
    POINTER_ENABLE = 0x45414552,
    POINTER_DISABLE = 0x000000f5,
    POINTER_RELATIVE = 0x4c455252,
    POINTER_ABSOLUTE = 0x53424152,

    POINTER_ID = 0x3442554a, /* the first word after it was enabled */
    PACKET_LEFT = 0x20,
    PACKET_RIGHT = 0x10,
    PACKET_MIDDLE = 0x08,
    PACKET_WORDS = 4,
    PACKETS_MOST = 64,
};
#define POINTER_ERROR 0xffff0000u

struct vmmouse {
    struct bus *ports;
    struct vmmouse_wiring wiring;
    bool enabled, absolute, failed;
    bool id_waits;
    struct pointer_event packet[PACKETS_MOST]; /* a ring; y and x up to POSITION_MOST */
    unsigned first, count;
};

/* ---- packets */

static void forget(struct vmmouse *vmmouse)
{
    vmmouse->first = vmmouse->count = 0;
    vmmouse->id_waits = vmmouse->failed = false;
}

static void pointer_event(void *device, const struct pointer_event *event)
{
    struct vmmouse *vmmouse = device;
    struct pointer_event *last = &vmmouse->packet[(vmmouse->first + vmmouse->count - 1) % PACKETS_MOST];
    if (vmmouse->count && (last->buttons == event->buttons || vmmouse->count == PACKETS_MOST)) {
        int wheel = last->wheel + event->wheel;
        *last = *event;
        last->wheel = wheel < -127 ? -127 : wheel > 127 ? 127 : wheel;
    } else {
        vmmouse->packet[(vmmouse->first + vmmouse->count++) % PACKETS_MOST] = *event;
    }
    vmmouse->wiring.report(vmmouse->wiring.opaque);
}

static bool wants_absolute(void *device)
{
    const struct vmmouse *vmmouse = device;
    return vmmouse->enabled && vmmouse->absolute;
}

struct input_sink vmmouse_input(struct vmmouse *vmmouse)
{
    return (struct input_sink){.device = vmmouse, .pointer = pointer_event, .wants_absolute = wants_absolute};
}

static uint32_t position(int value)
{
    return (uint32_t)value * 0xffff / POSITION_MOST;
}

static void packet_take(struct vmmouse *vmmouse, uint32_t *registers)
{
    const struct pointer_event *event = &vmmouse->packet[vmmouse->first];
    registers[VMMOUSE_EAX] = (event->buttons & BUTTON_LEFT ? PACKET_LEFT : 0) |
                             (event->buttons & BUTTON_RIGHT ? PACKET_RIGHT : 0) |
                             (event->buttons & BUTTON_MIDDLE ? PACKET_MIDDLE : 0);
    registers[VMMOUSE_EBX] = position(event->x);
    registers[VMMOUSE_ECX] = position(event->y);
    registers[VMMOUSE_EDX] = (uint32_t)event->wheel;
    vmmouse->first = (vmmouse->first + 1) % PACKETS_MOST;
    vmmouse->count--;
}

/* ---- commands */

static uint32_t status(const struct vmmouse *vmmouse)
{
    if (vmmouse->failed || !vmmouse->enabled)
        return POINTER_ERROR;
    return vmmouse->id_waits + vmmouse->count * PACKET_WORDS;
}

/* As many words as EBX says: the id alone, or whole packets one by one. Anything else is out of step for good. */
static void data_read(struct vmmouse *vmmouse, uint32_t *registers)
{
    uint32_t words = registers[VMMOUSE_EBX];
    if (vmmouse->id_waits && words == 1) {
        vmmouse->id_waits = false;
        registers[VMMOUSE_EAX] = POINTER_ID;
    } else if (!vmmouse->id_waits && words == PACKET_WORDS && vmmouse->count) {
        packet_take(vmmouse, registers);
    } else {
        vmmouse->failed = true;
        registers[VMMOUSE_EAX] = POINTER_ERROR;
    }
}

static void pointer_command(struct vmmouse *vmmouse, uint32_t argument)
{
    switch (argument) {
    case POINTER_ENABLE:
        forget(vmmouse);
        vmmouse->enabled = vmmouse->id_waits = true;
        break;
    case POINTER_DISABLE:
        forget(vmmouse);
        vmmouse->enabled = vmmouse->absolute = false;
        break;
    case POINTER_RELATIVE: vmmouse->absolute = false; break;
    case POINTER_ABSOLUTE: vmmouse->absolute = true; break;
    default: break;
    }
}

static void command(struct vmmouse *vmmouse, uint32_t *registers)
{
    switch (registers[VMMOUSE_ECX] & 0xffff) {
    case COMMAND_VERSION:
        registers[VMMOUSE_EAX] = VERSION;
        registers[VMMOUSE_EBX] = MAGIC;
        break;
    case COMMAND_POINTER_DATA: data_read(vmmouse, registers); break;
    case COMMAND_POINTER_STATUS: registers[VMMOUSE_EAX] = status(vmmouse); break;
    case COMMAND_POINTER: pointer_command(vmmouse, registers[VMMOUSE_EBX]); break;
    default: registers[VMMOUSE_EAX] = UINT32_MAX; break;
    }
}

static uint64_t port_read(void *device, uint64_t offset, unsigned size)
{
    struct vmmouse *vmmouse = device;
    uint32_t registers[VMMOUSE_REGISTERS];
    if (offset || size != PORT_SIZE || !vmmouse->wiring.registers(vmmouse->wiring.opaque, registers, false) ||
        registers[VMMOUSE_EAX] != MAGIC)
        return UINT64_MAX;
    command(vmmouse, registers);
    vmmouse->wiring.registers(vmmouse->wiring.opaque, registers, true);
    return registers[VMMOUSE_EAX];
}

/* ---- */

void vmmouse_reset(struct vmmouse *vmmouse)
{
    forget(vmmouse);
    vmmouse->enabled = vmmouse->absolute = false;
}

struct vmmouse *vmmouse_create(struct bus *ports, const struct vmmouse_wiring *wiring)
{
    struct vmmouse *vmmouse = allocate(sizeof(*vmmouse));
    vmmouse->ports = ports;
    vmmouse->wiring = *wiring;
    bus_add(ports, &(struct bus_range){PORT, PORT_SIZE, "vmmouse", vmmouse, port_read, NULL, PORT_SIZE});
    return vmmouse;
}

void vmmouse_destroy(struct vmmouse *vmmouse)
{
    if (!vmmouse)
        return;
    bus_remove(vmmouse->ports, vmmouse, PORT);
    free(vmmouse);
}
