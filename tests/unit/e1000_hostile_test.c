/* Guests that mean harm to the 82540EM, or to hearth by way of it. */
#include "unit/e1000_board.h"

static void rings_in_strange_places(void **state)
{
    struct board *board = *state;
    static const uint64_t places[] = {BASE,      BASE + TDT,    RAM_SIZE - 16,       RAM_SIZE - 8,
                                      RAM_SIZE,  0xfffffff0ull, 0xffffffffull << 32, 0xfffffffffffffff0ull,
                                      1ull << 63};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (unsigned tail = 0; tail < 0x10000; tail += 977) {
            set(board, CTRL, 1 << 26);
            set(board, TDBAL, (uint32_t)places[i]);
            set(board, TDBAH, (uint32_t)(places[i] >> 32));
            set(board, TDLEN, tail & 1 ? 128 : 0xfff80);
            set(board, TCTL, 2);
            set(board, TDT, tail);
            set(board, RDBAL, (uint32_t)places[i]);
            set(board, RDBAL + 4, (uint32_t)(places[i] >> 32));
            set(board, RDLEN, 0xfff80);
            set(board, RCTL, 0x8002);
            set(board, RDT, tail);
            arrives(board, own, 1000, false);
            clock_step(board->clock, clock_now(board->clock) + 1);
        }
    }
}

/* The ring's descriptors lie in the buffers that are being received into, the card's own registers are a buffer. */
static void rings_that_overlap(void **state)
{
    struct board *board = *state;
    for (uint64_t i = 0; i < RING_LENGTH; i++) {
        uint64_t buffer = i & 1 ? RX_RING : BASE + TDT - 12;
        memory_write(board->memory, RX_RING + 16 * i, &buffer, 8);
    }
    for (unsigned i = 0; i < 100; i++) {
        set(board, RDT, (get(board, RDH) + RING_LENGTH - 1) % RING_LENGTH);
        arrives(board, own, 1500, false);
    }
    assert_int_equal(get(board, TDT), 0);
}

/* A doorbell does a part of the work; the timer goes on. */
static void work_is_bounded(void **state)
{
    struct board *board = *state;
    enum { COUNT = 0xfff80 / 16 };
    set(board, TCTL, 0);
    set(board, TDBAL, 0);
    set(board, TDLEN, 0xfff80);
    for (uint64_t i = 0; i < COUNT; i++) {
        uint32_t word[4] = {TX_DATA, 0, 0x01000000 | 60, 0};
        memory_write(board->memory, 16 * i, word, 16);
    }
    set(board, TDT, COUNT - 1);
    set(board, TCTL, 2);
    assert_in_range(board->sent, 1, 1024);
    for (unsigned i = 0; i < COUNT; i++)
        clock_step(board->clock, clock_now(board->clock) + 1);
    assert_int_equal(board->sent, COUNT - 1);
}

static void hammer(void **state)
{
    struct board *board = *state;
    static const uint16_t favourites[] = {CTRL, EECD, EERD,  MDIC,  ICS, IMS, RCTL,   TCTL, RDBAL, RDLEN,
                                          RDH,  RDT,  TDBAL, TDLEN, TDH, TDT, RXCSUM, ITR,  RAL,   RAH};
    srandom(3);
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t value = (uint32_t)random() ^ (uint32_t)random() << 16;
        unsigned offset = i & 1 ? favourites[(unsigned)random() % 20] : (unsigned)random() & 0x1ffff;
        unsigned size = i & 2 ? 4 : 1u << random() % 4;
        switch (random() % 8) {
        case 0: memory_write(board->memory, (uint64_t)random() % 0x20000, &value, 4); break;
        case 1: bus_read(board->mmio, BASE + offset, size); break;
        case 2: arrives(board, own, 14 + (size_t)random() % 17000, random() & 1); break;
        case 3: clock_step(board->clock, clock_now(board->clock) + (uint64_t)random() % 100000); break;
        case 4: bus_write(board->ports, IO + (unsigned)random() % 8, size, value); break;
        case 5: set(board, random() & 1 ? TDT : RDT, (uint32_t)random() % RING_LENGTH); break;
        case 6:
            if (random() % 16 == 0) {
                set(board, CTRL, 1 << 30);
                rings(board);
            }
            break;
        default: bus_write(board->mmio, BASE + offset, size, random() & 1 ? value : value & 0x1fff0); break;
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(rings_in_strange_places),
        TEST(rings_that_overlap),
        TEST(work_is_bounded),
        TEST(hammer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
