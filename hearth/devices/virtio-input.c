/*
 * Virtio input devices, which speak Linux's input events. What the driver has no buffers for waits in a ring; when that is full
 * whole reports are lost, and what they said of buttons is said again with the next one.
 *
 * Left out: lights (the driver's reports of them are taken and forgotten), serial numbers.
 * Sources: Virtual I/O Device (VIRTIO) Version 1.2, 5.8; Linux, include/uapi/linux/input-event-codes.h for the numbers.
 */
#include "devices/virtio-input.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { CLASS_KEYBOARD = 0x090000, CLASS_MOUSE = 0x090200, CLASS_TABLET = 0x098000 };
enum { QUEUE_EVENTS, QUEUE_STATUS, QUEUES, QUEUE_SIZE = 64, WAITING_MOST = 512, REPORT_MOST = 12 };

enum config_select {
    SELECT_NAME = 0x01,
    SELECT_IDENTIFIERS = 0x03,
    SELECT_EVENTS = 0x11,
    SELECT_AXIS = 0x12,
};

enum event_type { EV_SYN = 0x00, EV_KEY = 0x01, EV_REL = 0x02, EV_ABS = 0x03, EV_LED = 0x11, EV_REP = 0x14 };

enum event_code {
    SYN_REPORT = 0,
    REL_X = 0,
    REL_Y = 1,
    REL_WHEEL = 8,
    ABS_X = 0,
    ABS_Y = 1,
    BTN_LEFT = 0x110, /* right, middle, side, extra */
    BUTTONS = 5,
    KEY_CODES = 128,
    BUS_VIRTUAL = 6,
    VENDOR = 0x0627, /* QEMU's, which guests know */
};

struct config {
    uint8_t select, subselect, size, reserved[5];
    uint8_t data[128];
};

struct event {
    uint16_t type, code; /* little-endian */
    uint32_t value;
};

struct virtio_input {
    struct virtio *virtio;
    enum virtio_input_kind kind;
    struct virtio_input_listener listener;
    bool listened;
    unsigned buttons; /* as the driver knows them */
    struct config config;
    struct event waiting[WAITING_MOST];
    unsigned first, count;
};

/* ---- reports */

struct report {
    struct event events[REPORT_MOST];
    unsigned count;
};

static void report_add(struct report *report, enum event_type type, unsigned code, int value)
{
    report->events[report->count++] =
        (struct event){htole16(type), htole16((uint16_t)code), htole32((uint32_t)value)};
}

static void deliver(struct virtio_input *input)
{
    struct virtio_queue *queue = virtio_queue(input->virtio, QUEUE_EVENTS);
    struct virtio_chain *chain;
    while (input->count && (chain = virtio_pop(queue))) {
        const struct event *event = &input->waiting[input->first];
        bool fits = virtio_write(chain, 0, event, sizeof(*event));
        virtio_push(chain, fits ? sizeof(*event) : 0);
        input->first = (input->first + 1) % WAITING_MOST;
        input->count--;
    }
    virtio_publish(queue);
}

/* False: there is no room for it. */
static bool report_send(struct virtio_input *input, struct report *report)
{
    report_add(report, EV_SYN, SYN_REPORT, 0);
    if (!virtio_is_ready(input->virtio) || WAITING_MOST - input->count < report->count)
        return false;
    for (unsigned i = 0; i < report->count; i++)
        input->waiting[(input->first + input->count++) % WAITING_MOST] = report->events[i];
    deliver(input);
    return true;
}

/* Linux's codes are those of scan code set 1 but for the keys with a prefix. 0: no such key. */
static unsigned code_of(uint16_t key)
{
    static const struct {
        uint16_t key;
        uint8_t code;
    } prefixed[] = {
        {0xe01c, 96},  {0xe01d, 97},  {0xe035, 98},  {KEY_PRINT_SCREEN, 99},
        {0xe038, 100}, {0xe047, 102}, {0xe048, 103}, {0xe049, 104},
        {0xe04b, 105}, {0xe04d, 106}, {0xe04f, 107}, {0xe050, 108},
        {0xe051, 109}, {0xe052, 110}, {0xe053, 111}, {0xe020, 113},
        {0xe02e, 114}, {0xe030, 115}, {0xe05e, 116}, {KEY_PAUSE, 119},
        {0xe05b, 125}, {0xe05c, 126}, {0xe05d, 127}, {0x70, 93},
        {0x73, 89},    {0x79, 92},    {0x7b, 94},    {0x7d, 124},
    };
    for (unsigned i = 0; i < sizeof(prefixed) / sizeof(prefixed[0]); i++)
        if (prefixed[i].key == key)
            return prefixed[i].code;
    return key <= 0x58 ? key : 0;
}

static void key_event(void *device, uint16_t key, bool down)
{
    struct report report = {.count = 0};
    unsigned code = code_of(key);
    if (!code)
        return;
    report_add(&report, EV_KEY, code, down);
    report_send(device, &report);
}

static void pointer_event(void *device, const struct pointer_event *event)
{
    /* In the order of BTN_LEFT and what follows it. */
    static const unsigned bits[BUTTONS] = {BUTTON_LEFT, BUTTON_RIGHT, BUTTON_MIDDLE, BUTTON_SIDE,
                                           BUTTON_EXTRA};
    struct virtio_input *input = device;
    struct report report = {.count = 0};
    enum event_type type = input->kind == VIRTIO_TABLET ? EV_ABS : EV_REL;
    for (unsigned i = 0; i < BUTTONS; i++)
        if ((event->buttons ^ input->buttons) & bits[i])
            report_add(&report, EV_KEY, BTN_LEFT + i, (event->buttons & bits[i]) != 0);
    if (type == EV_ABS || event->x)
        report_add(&report, type, REL_X, event->x);
    if (type == EV_ABS || event->y)
        report_add(&report, type, REL_Y, event->y);
    if (event->wheel)
        report_add(&report, EV_REL, REL_WHEEL, -event->wheel); /* away from the user is positive here */
    if (report.count && report_send(input, &report))
        input->buttons = event->buttons;
}

static bool wants_absolute(void *device)
{
    const struct virtio_input *input = device;
    return virtio_is_ready(input->virtio);
}

struct input_sink virtio_input_sink(struct virtio_input *input)
{
    if (input->kind == VIRTIO_KEYBOARD)
        return (struct input_sink){.device = input, .key = key_event};
    return (struct input_sink){.device = input,
                               .pointer = pointer_event,
                               .wants_absolute = input->kind == VIRTIO_TABLET ? wants_absolute : NULL};
}

/* ---- the configuration space: the driver selects what it shows */

static const char *const names[] = {"hearth Virtio Keyboard", "hearth Virtio Mouse", "hearth Virtio Tablet"};

static void bit_set(struct config *config, unsigned bit)
{
    config->data[bit / 8] |= (uint8_t)(1 << bit % 8);
    if (config->size <= bit / 8)
        config->size = (uint8_t)(bit / 8 + 1);
}

static void show_keys(struct config *config)
{
    for (unsigned key = 1; key <= 0x7d; key++)
        if (code_of((uint16_t)key))
            bit_set(config, code_of((uint16_t)key));
    for (unsigned key = 0; key < KEY_CODES; key++)
        if (code_of((uint16_t)(KEY_EXTENDED | key)))
            bit_set(config, code_of((uint16_t)(KEY_EXTENDED | key)));
    bit_set(config, code_of(KEY_PAUSE));
}

static void show_events(const struct virtio_input *input, struct config *config)
{
    bool keyboard = input->kind == VIRTIO_KEYBOARD, tablet = input->kind == VIRTIO_TABLET;
    if (config->subselect == EV_KEY && keyboard)
        show_keys(config);
    for (unsigned i = 0; config->subselect == EV_KEY && !keyboard && i < BUTTONS; i++)
        bit_set(config, BTN_LEFT + i);
    if (config->subselect == EV_REP && keyboard)
        config->size = 1; /* the guest repeats */
    if (config->subselect == EV_REL && !keyboard)
        bit_set(config, REL_WHEEL);
    if ((config->subselect == EV_REL && input->kind == VIRTIO_MOUSE) ||
        (config->subselect == EV_ABS && tablet)) {
        bit_set(config, REL_X);
        bit_set(config, REL_Y);
    }
}

static void show_axis(const struct virtio_input *input, struct config *config)
{
    uint32_t values[5] = {
        0, htole32(POSITION_MOST)}; /* least, most; noise, dead range, resolution: nothing is said */
    if (input->kind != VIRTIO_TABLET || config->subselect > ABS_Y)
        return;
    memcpy(config->data, values, sizeof(values));
    config->size = sizeof(values);
}

static void show(struct virtio_input *input)
{
    struct config *config = &input->config;
    uint16_t identifiers[4] = {htole16(BUS_VIRTUAL), htole16(VENDOR), htole16((uint16_t)(input->kind + 1)),
                               htole16(1)};
    config->size = 0;
    memset(config->data, 0, sizeof(config->data));
    if (config->select == SELECT_NAME && !config->subselect) {
        config->size = (uint8_t)strlen(names[input->kind]);
        memcpy(config->data, names[input->kind], config->size);
    } else if (config->select == SELECT_IDENTIFIERS && !config->subselect) {
        config->size = sizeof(identifiers);
        memcpy(config->data, identifiers, sizeof(identifiers));
    } else if (config->select == SELECT_EVENTS) {
        show_events(input, config);
    } else if (config->select == SELECT_AXIS) {
        show_axis(input, config);
    }
}

static void config_write(void *device, unsigned offset, uint8_t value)
{
    struct virtio_input *input = device;
    if (offset == offsetof(struct config, select))
        input->config.select = value;
    else if (offset == offsetof(struct config, subselect))
        input->config.subselect = value;
    show(input);
}

/* ---- the driver */

static void notified(void *device, unsigned index)
{
    struct virtio_input *input = device;
    struct virtio_queue *queue = virtio_queue(input->virtio, index);
    struct virtio_chain *chain;
    if (index == QUEUE_EVENTS) {
        deliver(input);
        return;
    }
    while ((chain = virtio_pop(queue)))
        virtio_push(chain, 0);
    virtio_publish(queue);
}

static void listened_set(struct virtio_input *input, bool now)
{
    input->first = input->count = 0;
    input->buttons = 0;
    if (input->listened != now)
        input->listener.listens(input->listener.opaque, input, now);
    input->listened = now;
}

static void started(void *device)
{
    listened_set(device, true);
}

static void reset(void *device)
{
    struct virtio_input *input = device;
    listened_set(input, false);
    input->config.select = input->config.subselect = 0;
    show(input);
}

struct virtio_input *virtio_input_create(const struct virtio_place *place, enum virtio_input_kind kind,
                                         const struct virtio_input_listener *listener)
{
#define KIND(its_name, its_class)                                                                            \
    {                                                                                                        \
        .name = its_name, .type = VIRTIO_INPUT, .class_code = its_class, .ops = {                            \
            .notified = notified,                                                                            \
            .started = started,                                                                              \
            .reset = reset,                                                                                  \
            .config_write = config_write                                                                     \
        }                                                                                                    \
    }
    static const struct virtio_kind kinds[] = {[VIRTIO_KEYBOARD] = KIND("virtio-keyboard", CLASS_KEYBOARD),
                                               [VIRTIO_MOUSE] = KIND("virtio-mouse", CLASS_MOUSE),
                                               [VIRTIO_TABLET] = KIND("virtio-tablet", CLASS_TABLET)};
    struct virtio_input *input = allocate(sizeof(*input));
    input->kind = kind;
    input->listener = *listener;
    input->virtio = virtio_create(place, &kinds[kind],
                                  &(struct virtio_setup){.device = input,
                                                         .queues = QUEUES,
                                                         .queue_size = QUEUE_SIZE,
                                                         .config = (const uint8_t *)&input->config,
                                                         .config_size = sizeof(input->config)});
    return input;
}

void virtio_input_reset(struct virtio_input *input)
{
    virtio_reset(input->virtio);
}

void virtio_input_destroy(struct virtio_input *input)
{
    virtio_destroy(input->virtio);
    free(input);
}
