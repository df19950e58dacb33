/*
 * Virtio: the transport with one of its devices, as the input's first byte says (disk, network card, entropy, balloon, serial
 * ports, tablet); a driver that sets queues up rightly or not, and puts any chains into them.
 */
#include "fuzz/cards.h"
#include "unit/image.h"

#include "devices/virtio-balloon.h"
#include "devices/virtio-blk.h"
#include "devices/virtio-input.h"
#include "devices/virtio-net.h"
#include "devices/virtio-rng.h"
#include "devices/virtio-serial.h"
#include "storage/pool.h"

enum {
    MODERN = 0xfe040000,
    LEGACY = CHIPS_PORTS,
    RINGS = 0x10000,
    RING_STEP = 0x4000,
    KINDS = 6,
    SECTORS = 64
};

struct board {
    unsigned kind;
    struct net_port port;
    struct block_pool *pool;
    struct image *image;
    struct virtio_blk *disk;
    struct virtio_net *card;
    struct virtio_rng *rng;
    struct virtio_balloon *balloon;
    struct virtio_serial *serial;
    struct virtio_input *tablet;
    struct virtio_serial_port *console, *named;
    struct character_port character;
    uint16_t offered[8];
    uint64_t common, notify;
    uint32_t multiplier;
};

static uint32_t config_read(struct chips *chips, unsigned offset, unsigned size)
{
    bus_write_locked(chips->ports, 0xcf8, 4, 0x80000000u | CHIPS_SLOT << 11 | (offset & 0xfc));
    return (uint32_t)bus_read_locked(chips->ports, 0xcfc + (offset & 3), size);
}

static void find(struct chips *chips, struct board *board)
{
    for (unsigned at = config_read(chips, 0x34, 1), i = 0; at && i < 48;
         at = config_read(chips, at + 1, 1), i++) {
        uint64_t where = MODERN + (uint64_t)config_read(chips, at + 8, 4);
        if (config_read(chips, at, 1) != 9)
            continue;
        if (config_read(chips, at + 3, 1) == 1)
            board->common = where;
        if (config_read(chips, at + 3, 1) == 2) {
            board->notify = where;
            board->multiplier = config_read(chips, at + 16, 4);
        }
    }
}

static void set(struct chips *chips, uint64_t address, unsigned size, uint64_t value)
{
    bus_write_locked(chips->mmio, address, size, value);
}

/* As a driver starts a device, with some of it as the input likes. */
static void start(struct chips *chips, struct board *board, struct input *input)
{
    uint64_t common = board->common;
    unsigned spoilt = input_take(input, 1), queues = 1 + input_take(input, 1) % 6;
    for (unsigned status = 0; status < 4; status++)
        set(chips, common + 20, 1, (1u << status) - 1);
    set(chips, common + 8, 4, 0);
    set(chips, common + 12, 4, input_take(input, 4));
    set(chips, common + 8, 4, 1);
    set(chips, common + 12, 4, 1);
    set(chips, common + 20, 1, 11);
    for (unsigned queue = 0; queue < queues; queue++) {
        uint32_t ring = RINGS + RING_STEP * queue;
        set(chips, common + 22, 2, queue);
        set(chips, common + 24, 2, spoilt & 1 ? input_take(input, 2) : 16);
        set(chips, common + 32, 8, ring);
        set(chips, common + 40, 8, ring + 0x1000);
        set(chips, common + 48, 8,
            spoilt & 2 ? (uint64_t)input_take(input, 4) << 32 | input_take(input, 4) : ring + 0x2000u);
        set(chips, common + 28, 2, 1);
    }
    memset(board->offered, 0, sizeof(board->offered));
    memset(memory_ram(chips->memory) + RINGS, 0, 8 * RING_STEP);
    set(chips, common + 20, 1, 15);
}

static void chain(struct chips *chips, struct board *board, struct input *input)
{
    unsigned queue = input_take(input, 1) % 6, count = 1 + input_take(input, 1) % 6,
             head = input_take(input, 1) % 8;
    uint32_t ring = RINGS + RING_STEP * queue;
    uint16_t index;
    for (unsigned i = 0; i < count; i++) {
        unsigned how = input_take(input, 1);
        struct {
            uint64_t address;
            uint32_t length;
            uint16_t flags, next;
        } descriptor = {how & 0x80 ? (uint64_t)input_take(input, 4) << 8 : input_take(input, 2) << 4,
                        how & 0x40 ? input_take(input, 4) : input_take(input, 1) << 4 | (how >> 3 & 7),
                        (uint16_t)((how & 6) | (i + 1 < count)),
                        (uint16_t)(how & 0x20 ? input_take(input, 2) : head + i + 1)};
        memory_write(chips->memory, ring + 16 * (head + i), &descriptor, sizeof(descriptor));
    }
    index = (uint16_t)head;
    memory_write(chips->memory, ring + 0x1004 + 2 * (board->offered[queue] % 16), &index, 2);
    index = ++board->offered[queue];
    memory_write(chips->memory, ring + 0x1002, &index, 2);
    set(chips, board->notify + queue * board->multiplier, 2, queue);
}

static void outside(struct board *board, struct input *input)
{
    static const uint8_t bytes[64];
    size_t room;
    if (board->kind == 1)
        cards_receive(&board->port, input);
    if (board->kind == 5) {
        struct input_sink sink = virtio_input_sink(board->tablet);
        sink.pointer(sink.device,
                     &(struct pointer_event){true, 1, 2, (int8_t)input_take(input, 1), input_take(input, 1)});
    }
    if (board->kind == 3)
        virtio_balloon_set(board->balloon, (uint64_t)input_take(input, 3) << 4);
    if (board->kind == 4 && board->character.room && (room = board->character.room(board->character.device)))
        board->character.receive(board->character.device, bytes, room < 64 ? room : 64);
}

static void other(struct chips *chips, struct input *input)
{
    struct board *board = chips->opaque;
    switch (input_take(input, 1) % 8) {
    case 0: start(chips, board, input); break;
    case 1: pool_drain(board->pool); break;
    case 2: outside(board, input); break;
    case 3: /* a request that a disk understands */
        memory_write(chips->memory, input_take(input, 2) << 4,
                     (uint32_t[]){input_take(input, 1) % 16, 0, input_take(input, 1), 0}, 16);
        break;
    default: chain(chips, board, input);
    }
}

static void host_write(void *host, const uint8_t *bytes, size_t count)
{
    (void)host, (void)bytes, (void)count;
}

static void listens(void *opaque, struct virtio_input *input, bool now)
{
    (void)opaque, (void)input, (void)now;
}

static void board_open(struct chips *chips, struct board *board)
{
    static const uint8_t address[6] = {0x52, 0x54, 0, 1, 2, 3};
    struct virtio_place place = {.pci = chips->pci,
                                 .slot = CHIPS_SLOT,
                                 .legacy = true,
                                 .modern = true,
                                 .vectors = 4,
                                 .clock = chips->clock};
    board->pool = pool_create(NULL, NULL);
    board->image = image_create(board->pool, SECTORS, 512);
    board->image->block.failed = true;
    board->image->bad_from = 5000;
    board->image->bad_to = 5001;
    board->character = (struct character_port){.write = host_write, .is_there = true};
    board->port = cards_port();
    if (board->kind == 0)
        board->disk = virtio_blk_create(&place, &(struct virtio_blk_setup){.block = &board->image->block,
                                                                           .memory = chips->memory,
                                                                           .serial = "fuzz",
                                                                           .queues = 2,
                                                                           .queue_size = 64,
                                                                           .discard = true,
                                                                           .write_zeroes = true,
                                                                           .config_wce = true});
    else if (board->kind == 1)
        board->card = virtio_net_create(&place, &board->port, address, "virtio.0");
    else if (board->kind == 2)
        board->rng = virtio_rng_create(&place, 1000, 1000);
    else if (board->kind == 3)
        board->balloon = virtio_balloon_create(&place, chips->memory, true, true);
    else if (board->kind == 4)
        board->serial = virtio_serial_create(&place, 4);
    else
        board->tablet =
            virtio_input_create(&place, VIRTIO_TABLET, &(struct virtio_input_listener){listens, NULL});
    if (board->serial) {
        board->console = virtio_serial_add(board->serial, 0, true, NULL, &board->character);
        board->named = virtio_serial_add(board->serial, 1, false, "org.test", NULL);
    }
}

static void board_close(struct board *board)
{
    pool_drain(board->pool);
    if (board->disk)
        virtio_blk_destroy(board->disk);
    if (board->card)
        virtio_net_destroy(board->card);
    if (board->rng)
        virtio_rng_destroy(board->rng);
    if (board->balloon)
        virtio_balloon_destroy(board->balloon);
    if (board->tablet)
        virtio_input_destroy(board->tablet);
    if (board->serial) {
        virtio_serial_remove(board->named);
        virtio_serial_remove(board->console);
        virtio_serial_destroy(board->serial);
    }
    image_free(board->image);
    pool_destroy(board->pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chips_place ports[] = {{LEGACY, 64}, {0, 0}},
                                    mmio[] = {{MODERN, 0x4000}, {MODERN, 0x40}, {0xfe010000, 0x100}, {0, 0}};
    struct input input = {data, size};
    struct chips chips;
    chips_open(&chips);
    chips_map_ram(&chips);
    struct board board = {.kind = input_take(&input, 1) % KINDS};
    board_open(&chips, &board);
    chips_place(&chips, CHIPS_SLOT, 1);
    find(&chips, &board);
    chips.port_places = ports;
    chips.mmio_places = mmio;
    chips.other = other;
    chips.opaque = &board;
    chips_run(&chips, &input);
    board_close(&board);
    chips_close(&chips);
    return 0;
}
