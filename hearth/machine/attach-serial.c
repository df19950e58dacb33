/* The virtio serial bus and the ports on it. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/virtio-serial.h"
#include "host/character.h"
#include "machine/attach-parts.h"

/* ---- virtio-serial-pci */

static void *serial_attach(struct pc *pc, struct settings *settings)
{
    uint64_t ports =
        settings_number(settings, "max_ports", VIRTIO_SERIAL_PORTS_MOST, VIRTIO_SERIAL_PORTS_MOST);
    struct virtio_place place;

    if (!ports)
        settings_refuse(settings, "max_ports is from 1 to %d", VIRTIO_SERIAL_PORTS_MOST);
    if (!attach_virtio(pc, settings, (unsigned)ports + 1, &place))
        return NULL;
    return virtio_serial_create(&place, (unsigned)ports);
}

static void serial_reset(void *device)
{
    virtio_serial_reset(device);
}

static void serial_detach(void *device)
{
    virtio_serial_destroy(device);
}

const struct driver virtio_serial_driver = {
    .name = "virtio-serial-pci",
    .alias = "virtio-serial",
    .bus = "PCI",
    .help = "a bus for virtconsole and virtserialport; max_ports=",
    .create = serial_attach,
    .reset = serial_reset,
    .destroy = serial_detach,
};

/* ---- its ports */

struct port {
    struct virtio_serial_port *port;
    struct character_port *character;
};

/* bus=ID.0 of a virtio-serial device; without it the one that came last. */
static struct virtio_serial *bus_find(struct pc *pc, struct settings *settings)
{
    const char *name = settings_text(settings, "bus", NULL);
    char id[64];
    if (!name)
        return attached_find(pc->attached, virtio_serial_driver.name, NULL);
    snprintf(id, sizeof(id), "%.*s", (int)strcspn(name, "."), name);
    return attached_find(pc->attached, virtio_serial_driver.name, id);
}

static struct character_port *end_find(struct pc *pc, struct settings *settings)
{
    const char *id = settings_text(settings, "chardev", NULL),
               *label = settings_text(settings, "id", "virtio port");
    char error[256];
    if (!id || settings_error(settings))
        return NULL;
    struct character_port *character = character_take(pc->characters, label, id, error, sizeof(error));
    if (!character)
        settings_refuse(settings, "%s", error);
    return character;
}

static void *port_attach(struct pc *pc, struct settings *settings, bool is_console)
{
    uint64_t number = settings_number(settings, "nr", UINT32_MAX, UINT32_MAX);
    const char *name = settings_text(settings, "name", NULL);
    struct virtio_serial *bus = bus_find(pc, settings);

    if (!bus)
        settings_refuse(settings, "No 'virtio-serial-bus' bus found: -device virtio-serial comes first");
    else if (!number && !is_console)
        settings_refuse(settings, "port number 0 is reserved for a virtconsole");
    struct port port = {.character = end_find(pc, settings)};
    if (settings_error(settings))
        return NULL;
    port.port = virtio_serial_add(bus, number == UINT32_MAX ? VIRTIO_SERIAL_ANY : (int)number, is_console,
                                  name, port.character);
    if (!port.port) {
        settings_refuse(settings, "that port number is taken, or the bus has no more");
        character_close(port.character);
        return NULL;
    }
    struct port *kept = allocate(sizeof(*kept));
    *kept = port;
    return kept;
}

static void *console_attach(struct pc *pc, struct settings *settings)
{
    return port_attach(pc, settings, true);
}

static void *serialport_attach(struct pc *pc, struct settings *settings)
{
    return port_attach(pc, settings, false);
}

static void port_detach(void *device)
{
    struct port *port = device;
    virtio_serial_remove(port->port);
    character_close(port->character);
    free(port);
}

const struct driver virtconsole_driver = {
    .name = "virtconsole",
    .bus = "virtio-serial-bus",
    .help = "a console (hvc0); chardev=, name=, nr=",
    .create = console_attach,
    .destroy = port_detach,
};

const struct driver virtserialport_driver = {
    .name = "virtserialport",
    .bus = "virtio-serial-bus",
    .help = "a port with a name, for an agent in the guest; chardev=, name=, nr=",
    .create = serialport_attach,
    .destroy = port_detach,
};
