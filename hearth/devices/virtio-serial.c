/*
 * The virtio console device with several ports. Each has a queue for what the guest reads and one for what it writes; ports come and
 * open by messages on a pair of control queues. What the host's end does not take waits in the guest, and the other way round.
 *
 * Left out: the size of a console.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 5.3.
 */
#include "devices/virtio-serial.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { CLASS_COMMUNICATION = 0x078000, ID_TRANSITIONAL = 0x1003, QUEUE_SIZE = 128 };

enum feature { F_MULTIPORT = 1, F_EMERGENCY_WRITE = 2 };

enum queue { QUEUE_RECEIVE = 0, QUEUE_TRANSMIT = 1, QUEUE_CONTROL_RECEIVE = 2, QUEUE_CONTROL_TRANSMIT = 3 };

enum event {
    EVENT_DEVICE_READY,
    EVENT_PORT_ADD,
    EVENT_PORT_REMOVE,
    EVENT_PORT_READY,
    EVENT_CONSOLE,
    EVENT_RESIZE,
    EVENT_PORT_OPEN,
    EVENT_PORT_NAME,
};

enum {
    PIECE = 4096,
    PIECES_AT_ONCE = 16, /* to the host, before others have their turn */
    NAME_MOST = 256,
};

struct config {
    uint16_t columns, rows; /* all little-endian */
    uint32_t ports, emergency_write;
};

struct message {
    uint32_t port; /* little-endian */
    uint16_t event, value;
};

/* Messages that a port has for the driver, sent in this order when it has buffers for them. */
enum news { NEWS_ADD = 1, NEWS_REMOVE = 2, NEWS_CONSOLE = 4, NEWS_NAME = 8, NEWS_OPEN = 16, NEWS_END = 32 };

struct virtio_serial_port {
    struct virtio_serial *serial;
    unsigned number;
    bool is_console;
    const char *name;
    struct character_port *character;
    bool is_open;                /* in the guest */
    struct virtio_chain *inbox;  /* for what the guest reads next */
    struct virtio_chain *outbox; /* what it has written, `sent` bytes of it done with */
    uint64_t sent;
};

struct virtio_serial {
    struct virtio *virtio;
    struct config config;
    bool is_ready; /* the driver has said so */
    unsigned news[VIRTIO_SERIAL_PORTS_MOST];
    struct virtio_serial_port *ports[VIRTIO_SERIAL_PORTS_MOST];
};

static unsigned port_queue(unsigned number, enum queue which)
{
    return which + (number ? 2 * (number + 1) : 0);
}

static struct virtio_queue *queue_of(const struct virtio_serial_port *port, enum queue which)
{
    return virtio_queue(port->serial->virtio, port_queue(port->number, which));
}

/* ---- control messages */

static void message_send(struct virtio_serial *serial, unsigned number, struct virtio_chain *chain,
                         enum event event, unsigned value)
{
    const struct virtio_serial_port *port = serial->ports[number];
    struct message message = {htole32(number), htole16((uint16_t)event), htole16((uint16_t)value)};
    uint8_t bytes[sizeof(message) + NAME_MOST];
    uint64_t size = sizeof(message);
    memcpy(bytes, &message, sizeof(message));
    if (event == EVENT_PORT_NAME) {
        size_t length = strnlen(port->name, NAME_MOST);
        memcpy(bytes + size, port->name, length);
        size += length;
    }
    if (size > virtio_writable(chain))
        size = virtio_writable(chain);
    virtio_push(chain, virtio_write(chain, 0, bytes, size) ? (uint32_t)size : 0);
}

static void news_send(struct virtio_serial *serial, unsigned number, unsigned news,
                      struct virtio_chain *chain)
{
    const struct virtio_serial_port *port = serial->ports[number];
    switch (news) {
    case NEWS_ADD: message_send(serial, number, chain, EVENT_PORT_ADD, 1); break;
    case NEWS_REMOVE: message_send(serial, number, chain, EVENT_PORT_REMOVE, 1); break;
    case NEWS_CONSOLE: message_send(serial, number, chain, EVENT_CONSOLE, 1); break;
    case NEWS_NAME: message_send(serial, number, chain, EVENT_PORT_NAME, 1); break;
    default:
        message_send(serial, number, chain, EVENT_PORT_OPEN,
                     port->is_console || (port->character && port->character->is_there));
    }
}

static void news_flush(struct virtio_serial *serial)
{
    struct virtio_queue *queue = virtio_queue(serial->virtio, QUEUE_CONTROL_RECEIVE);
    for (unsigned number = 0; number < VIRTIO_SERIAL_PORTS_MOST; number++)
        for (unsigned news = NEWS_ADD; news < NEWS_END; news *= 2) {
            struct virtio_chain *chain;
            if (!(serial->news[number] & news))
                continue;
            if (!(chain = virtio_pop(queue))) {
                virtio_publish(queue);
                return;
            }
            serial->news[number] &= ~news;
            news_send(serial, number, news, chain);
        }
    virtio_publish(queue);
}

static void port_room_changed(const struct virtio_serial_port *port)
{
    if (port->character && port->character->drained)
        port->character->drained(port->character->host);
}

static void device_ready(struct virtio_serial *serial)
{
    serial->is_ready = true;
    for (unsigned number = 0; number < VIRTIO_SERIAL_PORTS_MOST; number++)
        serial->news[number] = serial->ports[number] ? NEWS_ADD : 0;
}

static void message_received(struct virtio_serial *serial, const struct message *message)
{
    uint32_t number = le32toh(message->port);
    struct virtio_serial_port *port = number < VIRTIO_SERIAL_PORTS_MOST ? serial->ports[number] : NULL;
    bool value = message->value;
    unsigned event = le16toh(message->event);

    if (event == EVENT_DEVICE_READY && value) {
        device_ready(serial);
    } else if (event == EVENT_PORT_READY && port && value) {
        serial->news[number] |=
            NEWS_OPEN | (port->is_console ? NEWS_CONSOLE : 0) | (port->name ? NEWS_NAME : 0);
    } else if (event == EVENT_PORT_OPEN && port) {
        port->is_open = value;
        port_room_changed(port);
    }
}

static void control_notified(struct virtio_serial *serial)
{
    struct virtio_queue *queue = virtio_queue(serial->virtio, QUEUE_CONTROL_TRANSMIT);
    struct virtio_chain *chain;
    while ((chain = virtio_pop(queue))) {
        struct message message;
        if (virtio_read(chain, 0, &message, sizeof(message)))
            message_received(serial, &message);
        virtio_push(chain, 0);
    }
    virtio_publish(queue);
    news_flush(serial);
}

/* ---- to the guest */

static size_t port_room(void *device)
{
    struct virtio_serial_port *port = device;
    struct virtio_queue *queue = queue_of(port, QUEUE_RECEIVE);
    if (!port->is_open)
        return 0;
    for (unsigned i = 0; i < QUEUE_SIZE && !port->inbox && (port->inbox = virtio_pop(queue)); i++) {
        if (virtio_writable(port->inbox))
            break;
        virtio_push(port->inbox, 0);
        port->inbox = NULL;
    }
    return port->inbox ? virtio_writable(port->inbox) : 0;
}

static void port_receive(void *device, const uint8_t *bytes, size_t count)
{
    struct virtio_serial_port *port = device;
    if (!port->inbox)
        return;
    bool whole = virtio_write(port->inbox, 0, bytes, count);
    virtio_push(port->inbox, whole ? (uint32_t)count : 0);
    port->inbox = NULL;
    virtio_publish(queue_of(port, QUEUE_RECEIVE));
}

/* ---- to the host */

/* A piece of the chain; false if the host takes nothing now. */
static bool piece_send(struct virtio_serial_port *port)
{
    uint8_t bytes[PIECE];
    uint64_t left = virtio_readable(port->outbox) - port->sent;
    size_t space = character_space(port->character), size = left < PIECE ? left : PIECE;
    if (space < size)
        size = space;
    if (left && !size)
        return false;
    if (size && virtio_read(port->outbox, port->sent, bytes, size))
        character_write(port->character, bytes, size);
    port->sent += size;
    if (port->sent == virtio_readable(port->outbox)) {
        virtio_push(port->outbox, 0);
        port->outbox = NULL;
    }
    return true;
}

static void port_transmit(struct virtio_serial_port *port)
{
    struct virtio_queue *queue = queue_of(port, QUEUE_TRANSMIT);
    for (unsigned pieces = 0;; pieces++) {
        if (!port->outbox) {
            port->outbox = virtio_pop(queue);
            port->sent = 0;
        }
        if (!port->outbox)
            break;
        if (pieces == PIECES_AT_ONCE) {
            virtio_again(queue);
            break;
        }
        if (!piece_send(port))
            break;
    }
    virtio_publish(queue);
}

static void port_spaced(void *device)
{
    port_transmit(device);
}

static void port_moved(void *device, bool is_there)
{
    struct virtio_serial_port *port = device;
    (void)is_there;
    if (port->is_console || !port->serial->is_ready)
        return;
    port->serial->news[port->number] |= NEWS_OPEN;
    news_flush(port->serial);
}

/* ---- the transport's calls */

static void discard(struct virtio_queue *queue)
{
    struct virtio_chain *chain;
    while ((chain = virtio_pop(queue)))
        virtio_push(chain, 0);
    virtio_publish(queue);
}

static void notified(void *device, unsigned index)
{
    struct virtio_serial *serial = device;
    unsigned number = index < QUEUE_CONTROL_RECEIVE ? 0 : index / 2 - 1;
    struct virtio_serial_port *port = serial->ports[number];
    if (index == QUEUE_CONTROL_RECEIVE)
        news_flush(serial);
    else if (index == QUEUE_CONTROL_TRANSMIT)
        control_notified(serial);
    else if (index % 2 == QUEUE_RECEIVE && port)
        port_room_changed(port);
    else if (port)
        port_transmit(port);
    else if (index % 2 == QUEUE_TRANSMIT)
        discard(virtio_queue(serial->virtio, index));
}

/* A driver that knows of one port only finds it open. */
static void started(void *device)
{
    struct virtio_serial *serial = device;
    if (serial->ports[0] && !virtio_has(serial->virtio, F_MULTIPORT))
        serial->ports[0]->is_open = true;
}

static void port_forget(struct virtio_serial_port *port)
{
    if (port->inbox)
        virtio_push(port->inbox, 0);
    if (port->outbox)
        virtio_push(port->outbox, 0);
    port->inbox = port->outbox = NULL;
    port->is_open = false;
}

static void reset(void *device)
{
    struct virtio_serial *serial = device;
    for (unsigned number = 0; number < VIRTIO_SERIAL_PORTS_MOST; number++)
        if (serial->ports[number])
            port_forget(serial->ports[number]);
    memset(serial->news, 0, sizeof(serial->news));
    serial->is_ready = false;
}

/* A character for the console from a kernel that has no queues yet. */
static void config_write(void *device, unsigned offset, uint8_t value)
{
    struct virtio_serial *serial = device;
    if (offset == offsetof(struct config, emergency_write) && serial->ports[0])
        character_write(serial->ports[0]->character, &value, 1);
}

static const struct virtio_kind kind = {
    .name = "virtio-serial",
    .type = VIRTIO_CONSOLE,
    .class_code = CLASS_COMMUNICATION,
    .transitional = ID_TRANSITIONAL,
    .ops = {notified, started, reset, config_write},
};

/* ---- */

struct virtio_serial *virtio_serial_create(const struct virtio_place *place, unsigned ports)
{
    struct virtio_serial *serial = allocate(sizeof(*serial));
    struct virtio_setup setup = {.device = serial,
                                 .features = 1 << F_MULTIPORT | 1 << F_EMERGENCY_WRITE,
                                 .queues = port_queue(ports - 1, QUEUE_TRANSMIT) + 1,
                                 .queue_size = QUEUE_SIZE,
                                 .config = (const uint8_t *)&serial->config,
                                 .config_size = sizeof(serial->config)};
    if (setup.queues <= QUEUE_CONTROL_TRANSMIT)
        setup.queues = QUEUE_CONTROL_TRANSMIT + 1;
    serial->config.ports = htole32(ports);
    serial->virtio = virtio_create(place, &kind, &setup);
    return serial;
}

void virtio_serial_reset(struct virtio_serial *serial)
{
    virtio_reset(serial->virtio);
}

void virtio_serial_destroy(struct virtio_serial *serial)
{
    virtio_destroy(serial->virtio);
    free(serial);
}

/* Port 0 is kept for a console. */
static unsigned free_number(const struct virtio_serial *serial, bool is_console)
{
    unsigned ports = le32toh(serial->config.ports);
    for (unsigned number = is_console ? 0 : 1; number < ports; number++)
        if (!serial->ports[number])
            return number;
    return ports;
}

struct virtio_serial_port *virtio_serial_add(struct virtio_serial *serial, int wanted, bool is_console,
                                             const char *name, struct character_port *character)
{
    unsigned number = wanted == VIRTIO_SERIAL_ANY ? free_number(serial, is_console) : (unsigned)wanted;
    if (number >= le32toh(serial->config.ports) || serial->ports[number])
        return NULL;
    struct virtio_serial_port *port = allocate(sizeof(*port));
    *port = (struct virtio_serial_port){
        .serial = serial, .number = number, .is_console = is_console, .name = name, .character = character};
    serial->ports[number] = port;
    if (character) {
        character->receive = port_receive;
        character->room = port_room;
        character->spaced = port_spaced;
        character->moved = port_moved;
        character->device = port;
    }
    if (serial->is_ready) {
        serial->news[number] |= NEWS_ADD;
        news_flush(serial);
    }
    return port;
}

void virtio_serial_remove(struct virtio_serial_port *port)
{
    struct virtio_serial *serial = port->serial;
    port_forget(port);
    if (port->character) {
        port->character->receive = NULL;
        port->character->room = NULL;
        port->character->spaced = NULL;
        port->character->moved = NULL;
    }
    serial->ports[port->number] = NULL;
    if (serial->is_ready) {
        serial->news[port->number] = NEWS_REMOVE;
        news_flush(serial);
    }
    free(port);
}
