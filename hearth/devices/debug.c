/*
 * Ports for firmware and test programs: debug consoles (402h, E9h), where reading E9h says that somebody listens, and
 * isa-debug-exit, where a write ends the machine with a status.
 *
 * Sources: Bochs user manual, "port_e9_hack"; SeaBIOS docs/Debugging; QEMU's documented isa-debug-exit.
 */
#include "devices/debug.h"

#include <stdlib.h>

#include "core/log.h"

enum { PRESENT = 0xe9 };

struct debug_console {
    struct bus *ports;
    uint64_t port;
    struct character_port *character;
};

static uint64_t console_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset, (void)size;
    return PRESENT;
}

static void console_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct debug_console *console = device;
    uint8_t byte = value;
    (void)offset, (void)size;
    character_write(console->character, &byte, 1);
}

struct debug_console *debug_console_create(struct bus *ports, uint64_t port, struct character_port *character)
{
    struct debug_console *console = allocate(sizeof(*console));
    console->ports = ports;
    console->port = port;
    console->character = character;
    bus_add(ports, &(struct bus_range){port, 1, "debug console", console, console_read, console_write, 1});
    return console;
}

void debug_console_destroy(struct debug_console *console)
{
    if (!console)
        return;
    bus_remove(console->ports, console, console->port);
    free(console);
}

struct debug_exit {
    struct bus *ports;
    uint64_t base;
    void (*exit)(void *opaque, int status);
    void *opaque;
};

/* Reads as zeros, not as nobody: test programs look for it so. */
static uint64_t exit_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset, (void)size;
    return 0;
}

static void exit_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct debug_exit *debug_exit = device;
    (void)offset, (void)size;
    debug_exit->exit(debug_exit->opaque, (int)((uint32_t)value << 1 | 1));
}

struct debug_exit *debug_exit_create(struct bus *ports, uint64_t base, uint64_t size,
                                     void (*exit)(void *opaque, int status), void *opaque)
{
    struct debug_exit *device = allocate(sizeof(*device));
    device->ports = ports;
    device->base = base;
    device->exit = exit;
    device->opaque = opaque;
    bus_add(ports, &(struct bus_range){base, size, "debug exit", device, exit_read, exit_write, 4});
    return device;
}

void debug_exit_destroy(struct debug_exit *device)
{
    if (!device)
        return;
    bus_remove(device->ports, device, device->base);
    free(device);
}
