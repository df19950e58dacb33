/* Guest memory as a list of host pieces. */
#include "unit/unit.h"

#include <string.h>

#include "core/scatter.h"

enum { RAM = 1 << 20, OTHER = 0x80000000u, OTHER_SIZE = 4 << 20, ROM = 0xf0000, ROM_SIZE = 0x10000 };

static struct memory *memory;
static struct scatter *scatter;
static uint8_t other[OTHER_SIZE] __attribute__((aligned(4096))), rom[ROM_SIZE] __attribute__((aligned(4096)));
static uint64_t told_base, told_size;

static void written(void *opaque, uint64_t base, uint64_t size)
{
    (void)opaque;
    told_base = base;
    told_size += size;
}

static int setup(void **state)
{
    (void)state;
    memory = memory_create(RAM);
    memory_map(memory, &(struct memory_range){0, RAM, memory_ram(memory), true, "ram"});
    memory_map(memory, &(struct memory_range){OTHER, OTHER_SIZE, other, true, "other"});
    memory_map(memory, &(struct memory_range){ROM, ROM_SIZE, rom, false, "rom"});
    memory_listen(memory, &(struct memory_listener){.written = written});
    scatter = scatter_create(memory, 4);
    told_base = told_size = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scatter_destroy(scatter);
    memory_destroy(memory);
    return 0;
}

static void neighbours_become_one_piece(void **state)
{
    unsigned count;
    (void)state;
    scatter_begin(scatter, true);
    assert_true(scatter_add(scatter, 0x1000, 0x200));
    assert_true(scatter_add(scatter, 0x1200, 0x10000));
    assert_true(scatter_add(scatter, 0x500, 2));
    const struct iovec *pieces = scatter_pieces(scatter, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(pieces[0].iov_base, memory_ram(memory) + 0x1000);
    assert_int_equal(pieces[0].iov_len, 0x10200);
    assert_int_equal(scatter_size(scatter), 0x10202);
    scatter_end(scatter, 0x10202);
    assert_int_equal(told_size, 0x10202);
    assert_int_equal(told_base, 0x500);
}

static void what_is_no_ram_is_bounced(void **state)
{
    unsigned count;
    (void)state;
    memset(other, 0x11, 0x200);
    scatter_begin(scatter, true);
    assert_true(scatter_add(scatter, OTHER, 0x200));
    const struct iovec *pieces = scatter_pieces(scatter, &count);
    assert_ptr_not_equal(pieces[0].iov_base, other);
    memset(pieces[0].iov_base, 0x22, 0x200);
    assert_int_equal(other[0], 0x11);
    scatter_end(scatter, 0x100); /* half of it came */
    assert_int_equal(other[0xff], 0x22);
    assert_int_equal(other[0x100], 0x11);
    assert_int_equal(told_size, 0x100);

    memset(rom, 0x33, sizeof(rom));
    scatter_begin(scatter, false);
    assert_true(scatter_add(scatter, ROM + 5, 7));
    pieces = scatter_pieces(scatter, &count);
    assert_int_equal(((uint8_t *)pieces[0].iov_base)[6], 0x33);
    scatter_end(scatter, 7);
    assert_int_equal(told_size, 0x100);
}

static void only_memory_is_taken(void **state)
{
    unsigned count;
    (void)state;
    scatter_begin(scatter, true);
    assert_false(scatter_add(scatter, ROM, 4));                    /* not to be written */
    assert_false(scatter_add(scatter, RAM, 4));                    /* a hole */
    assert_false(scatter_add(scatter, OTHER + OTHER_SIZE - 4, 8)); /* ends in a hole */
    assert_false(scatter_add(scatter, 0xf0000 - 4, 8));            /* ends in ROM */
    assert_false(scatter_add(scatter, UINT64_MAX, 1));
    assert_false(scatter_add(scatter, UINT64_MAX - 1, 3));
    assert_false(scatter_add(scatter, 0, UINT64_MAX));
    assert_false(scatter_add(scatter, OTHER, (1 << 20) + 1)); /* too much to bounce */
    assert_true(scatter_add(scatter, 77, 0));
    scatter_pieces(scatter, &count);
    assert_int_equal(count, 0);
    assert_true(scatter_add(scatter, OTHER, 1 << 20));
    assert_false(scatter_add(scatter, OTHER, 1));
    assert_int_equal(scatter_size(scatter), 1 << 20);
    scatter_end(scatter, 0);
    scatter_begin(scatter, false);
    assert_true(scatter_add(scatter, OTHER, 1 << 20));
    for (unsigned i = 0; i < 3; i++)
        assert_true(scatter_add(scatter, 0x100 * i, 0x10));
    assert_false(scatter_add(scatter, 0x300, 0x10)); /* full */
    assert_true(scatter_add(scatter, 0x210, 0x10));  /* but for the neighbour */
    scatter_end(scatter, scatter_size(scatter));
    assert_int_equal(told_size, 0);
}

static void a_list_is_cut(void **state)
{
    unsigned count;
    (void)state;
    scatter_begin(scatter, false);
    assert_true(scatter_add(scatter, 0x1000, 0x200));
    assert_true(scatter_add(scatter, 0x4000, 0x200));
    assert_true(scatter_add(scatter, ROM, 0x10)); /* bounced */
    scatter_cut(scatter, 0x1000);
    assert_int_equal(scatter_size(scatter), 0x410);
    scatter_cut(scatter, 0x300);
    const struct iovec *pieces = scatter_pieces(scatter, &count);
    assert_int_equal(count, 2);
    assert_int_equal(pieces[1].iov_len, 0x100);
    assert_int_equal(scatter_size(scatter), 0x300);
    scatter_end(scatter, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(neighbours_become_one_piece, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_ram_is_bounced, setup, teardown),
        cmocka_unit_test_setup_teardown(only_memory_is_taken, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
