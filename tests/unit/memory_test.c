#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/memory.h"

enum { RAM = 0x100000 };

static struct {
    uint64_t base, size;
    unsigned calls;
} written;

static void note_written(void *opaque, uint64_t base, uint64_t size)
{
    (void)opaque;
    written.base = base;
    written.size = size;
    written.calls++;
}

static struct memory *with_ram(void)
{
    struct memory *memory = memory_create(RAM);
    memory_map(memory, &(struct memory_range){0, RAM, memory_ram(memory), true, "ram"});
    return memory;
}

static void a_map_cuts_what_was_there(void **state)
{
    (void)state;
    struct memory *memory = with_ram();
    static uint8_t rom[0x2000];
    size_t count;
    memory_map(memory, &(struct memory_range){0x4000, 0x2000, rom, false, "rom"});
    const struct memory_range *ranges = memory_ranges(memory, &count);
    assert_int_equal(count, 3);
    assert_int_equal(ranges[0].size, 0x4000);
    assert_int_equal(ranges[2].base, 0x6000);
    assert_ptr_equal(ranges[2].host, memory_ram(memory) + 0x6000);
    memory_unmap(memory, 0x5000, 0x2000);
    ranges = memory_ranges(memory, &count);
    assert_int_equal(count, 3);
    assert_int_equal(ranges[1].size, 0x1000);
    assert_int_equal(ranges[2].base, 0x7000);
    memory_destroy(memory);
}

static void rom_and_holes_drop_writes(void **state)
{
    (void)state;
    struct memory *memory = with_ram();
    static uint8_t rom[0x1000] = {1, 2, 3, 4};
    uint8_t bytes[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    memory_map(memory, &(struct memory_range){0x4000, 0x1000, rom, false, "rom"});
    assert_false(memory_write(memory, 0x4000, bytes, 4));
    assert_int_equal(rom[0], 1);
    memory_unmap(memory, 0x8000, 0x1000);
    /* RAM, hole, RAM: what is memory is written and read, what is not reads as ones. */
    assert_false(memory_write(memory, 0x7ffc, bytes, 8));
    assert_false(memory_read(memory, 0x7ffc, bytes, 8));
    assert_int_equal(bytes[3], 9);
    assert_int_equal(bytes[4], 0xff);
    memory_destroy(memory);
}

static void nothing_wraps(void **state)
{
    (void)state;
    struct memory *memory = with_ram();
    uint8_t bytes[64];
    memset(bytes, 7, sizeof(bytes));
    assert_false(memory_read(memory, UINT64_MAX - 8, bytes, sizeof(bytes)));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0xff);
    assert_int_equal(memory_ram(memory)[0], 0);
    memset(bytes, 7, sizeof(bytes));
    assert_false(memory_write(memory, UINT64_MAX - 8, bytes, sizeof(bytes)));
    assert_int_equal(memory_ram(memory)[0], 0);
    assert_false(memory_read(memory, RAM - 4, bytes, 8));
    assert_int_equal(bytes[3], 0);
    assert_int_equal(bytes[4], 0xff);
    memory_destroy(memory);
}

static void the_listener_hears_of_writes_to_ram(void **state)
{
    (void)state;
    struct memory *memory = with_ram();
    memory_listen(memory, &(struct memory_listener){.written = note_written});
    memory_write(memory, 0x1234, "abc", 3);
    assert_int_equal(written.calls, 1);
    assert_int_equal(written.base, 0x1234);
    assert_int_equal(written.size, 3);
    memory_write(memory, RAM + 5, "abc", 3);
    assert_int_equal(written.calls, 1);
    memory_destroy(memory);
}

static void files_are_loaded(void **state)
{
    (void)state;
    struct memory *memory = with_ram();
    FILE *file = tmpfile();
    fputs("0123456789", file);
    fflush(file);
    int descriptor = fileno(file);
    written.calls = 0;
    memory_listen(memory, &(struct memory_listener){.written = note_written});
    assert_true(memory_load(memory, 0x1ffe, descriptor, 2, 4));
    assert_memory_equal(memory_ram(memory) + 0x1ffe, "2345", 5);
    assert_int_equal(written.calls, 1);
    assert_int_equal(written.base, 0x1ffe);
    assert_int_equal(written.size, 4);
    assert_false(memory_load(memory, 0x3000, descriptor, 8, 4)); /* it ends */
    assert_int_equal(errno, 0);
    assert_false(memory_load(memory, RAM - 2, descriptor, 0, 4)); /* so does the RAM */
    assert_int_equal(errno, EFAULT);
    memory_clear(memory, 0x1fff, 2);
    assert_memory_equal(memory_ram(memory) + 0x1ffe, "2\0\0005", 4);
    fclose(file);
    memory_destroy(memory);
}

/* What backs a range as a whole, and words that are not torn. */
static void backing_and_words(void **state)
{
    struct memory *memory = memory_create(0x10000);
    uint16_t word;
    uint8_t rom[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))) = {0x34, 0x12};
    (void)state;
    memory_map(memory, &(struct memory_range){0x1000, 0x4000, memory_ram(memory), true, "ram"});
    memory_map(memory, &(struct memory_range){0x5000, PAGE_SIZE, rom, false, "rom"});
    assert_true(memory_backs(memory, 0x1000, 0x5000, false));
    assert_true(memory_backs(memory, 0x1000, 0x4000, true));
    assert_false(memory_backs(memory, 0x1000, 0x4001, true));
    assert_false(memory_backs(memory, 0xfff, 2, false));
    assert_false(memory_backs(memory, 0x5fff, 2, false));
    assert_false(memory_backs(memory, 0x1000, UINT64_MAX, false));
    assert_false(memory_backs(memory, UINT64_MAX, 2, false));
    assert_true(memory_read_16(memory, 0x5000, &word));
    assert_int_equal(word, 0x1234);
    assert_false(memory_write_16(memory, 0x5000, 1));
    assert_true(memory_write_16(memory, 0x1ffe, 0xabcd));
    assert_true(memory_read_16(memory, 0x1ffe, &word));
    assert_int_equal(word, 0xabcd);
    assert_false(memory_read_16(memory, 0x1fff, &word));
    assert_int_equal(word, 0xffff);
    assert_false(memory_write_16(memory, 0x1fff, 1));
    assert_false(memory_read_16(memory, UINT64_MAX - 1, &word));
    memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_cuts_what_was_there),
        cmocka_unit_test(rom_and_holes_drop_writes),
        cmocka_unit_test(nothing_wraps),
        cmocka_unit_test(the_listener_hears_of_writes_to_ram),
        cmocka_unit_test(files_are_loaded),
        cmocka_unit_test(backing_and_words),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
