/*
 * VMware's "backdoor" at port 5658h with an absolute pointer behind it. Linux, the BSDs and VMware's drivers for Windows look
 * for it; movements are announced by the PS/2 mouse's interrupt.
 */
#ifndef DEVICES_VMMOUSE_H
#define DEVICES_VMMOUSE_H

#include "core/bus.h"
#include "core/input.h"

struct vmmouse;

enum vmmouse_register {
    VMMOUSE_EAX,
    VMMOUSE_EBX,
    VMMOUSE_ECX,
    VMMOUSE_EDX,
    VMMOUSE_ESI,
    VMMOUSE_EDI,
    VMMOUSE_REGISTERS
};

struct vmmouse_wiring {
    /* The registers of the CPU that is at the port; `store` puts them back. False outside of an access. */
    bool (*registers)(void *opaque, uint32_t registers[VMMOUSE_REGISTERS], bool store);
    /* Has the PS/2 mouse report. */
    void (*report)(void *opaque);
    void *opaque;
};

/* `wiring` is copied. */
struct vmmouse *vmmouse_create(struct bus *ports, const struct vmmouse_wiring *wiring);
void vmmouse_destroy(struct vmmouse *vmmouse); /* NULL is harmless */
void vmmouse_reset(struct vmmouse *vmmouse);
/* Positions for it, while a guest has asked for them. */
struct input_sink vmmouse_input(struct vmmouse *vmmouse);

#endif
