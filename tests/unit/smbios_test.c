/* SMBIOS tables. Numbers: DMTF DSP0134, chapters 5.2 and 7; dmidecode reads them too. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/uuid.h"
#include "firmware/smbios.h"

#define GIB (1ull << 30)

static struct cpus cpus;
static struct smbios smbios;
static struct smbios_description machine;

static int set_up(void **state)
{
    (void)state;
    cpus_set_up(&cpus, &(struct topology){2, 1, 2, 2}, 4);
    machine = (struct smbios_description){.ram_size = GIB,
                                          .cpus = &cpus,
                                          .cpu_signature = 0x60fb1,
                                          .cpu_features = 0x78bfbfd,
                                          .cpu_name = "qemu64"};
    return 0;
}

static uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = size; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static const uint8_t *next(const uint8_t *at)
{
    at += at[1];
    while (at[0] || at[1])
        at++;
    return at + 2;
}

/* The nth of that type, or NULL; all lengths are seen to. */
static const uint8_t *find(unsigned type, unsigned nth)
{
    const uint8_t *at = smbios.tables.bytes, *end = at + smbios.tables.size, *found = NULL;
    unsigned count = 0;
    for (; at < end; at = next(at), count++) {
        assert_true(next(at) - at <= smbios.largest);
        if (at[0] == type && nth-- == 0)
            found = at;
    }
    assert_ptr_equal(at, end);
    assert_int_equal(count, smbios.count);
    return found;
}

static const char *string(const uint8_t *structure, unsigned offset)
{
    const char *text = (const char *)structure + structure[1];
    if (!structure[offset])
        return "";
    for (unsigned i = 1; i < structure[offset]; i++)
        text += strlen(text) + 1;
    return text;
}

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;
    while (size--)
        total = (uint8_t)(total + *bytes++);
    return total;
}

static void entry_point(void **state)
{
    (void)state;
    smbios_build(&smbios, &machine, true);
    smbios_place(&smbios, 0xf1230);
    assert_memory_equal(smbios.entry, "_SM_", 4);
    assert_int_equal(smbios.entry[5], 0x1f);
    assert_int_equal(sum(smbios.entry, 0x1f), 0);
    assert_memory_equal(smbios.entry + 0x10, "_DMI_", 5);
    assert_int_equal(sum(smbios.entry + 0x10, 0xf), 0);
    assert_int_equal(get(smbios.entry + 8, 2), smbios.largest);
    assert_int_equal(get(smbios.entry + 0x16, 2), smbios.tables.size);
    assert_int_equal(get(smbios.entry + 0x18, 4), 0xf1230);
    assert_int_equal(get(smbios.entry + 0x1c, 2), smbios.count);
    smbios_free(&smbios);
}

static void structures(void **state)
{
    static const uint8_t types[] = {0, 1, 3, 4, 4, 16, 17, 19, 32, 127};
    (void)state;
    smbios_build(&smbios, &machine, true);
    const uint8_t *at = smbios.tables.bytes;
    for (size_t i = 0; i < sizeof(types); i++, at = next(at))
        assert_int_equal(at[0], types[i]);
    assert_ptr_equal(at, smbios.tables.bytes + smbios.tables.size);
    const uint8_t *system = find(1, 0), *processor = find(4, 0), *other = find(4, 1), *device = find(17, 0),
                  *range = find(19, 0);
    assert_int_equal(system[1], 0x1b);
    assert_string_equal(string(system, 5), "Standard PC (i440FX + PIIX, 1996)");
    assert_int_equal(find(3, 0)[1], 0x16);
    assert_int_equal(processor[1], 0x2a);
    assert_int_equal(get(processor + 8, 8), 0x078bfbfd00060fb1);
    assert_int_equal(processor[0x18], 0x41); /* populated, enabled */
    assert_int_equal(other[0x18], 0);        /* its four CPUs may be plugged in later */
    assert_int_equal(processor[0x23], 2);    /* cores */
    assert_int_equal(processor[0x25], 4);    /* threads */
    assert_string_equal(string(processor, 0x10), "qemu64");
    assert_int_equal(get(find(16, 0) + 7, 4), GIB >> 10);
    assert_int_equal(get(device + 0xc, 2), 1024);
    assert_string_equal(string(device, 0x10), "DIMM 0");
    assert_int_equal(get(range + 4, 4), 0);
    assert_int_equal(get(range + 8, 4), (GIB >> 10) - 1);
    assert_int_equal(find(127, 0)[1], 4);
    smbios_free(&smbios);
    smbios_build(&smbios, &machine, false); /* SeaBIOS has its own */
    assert_null(find(0, 0));
    smbios_free(&smbios);
}

static void much_memory(void **state)
{
    (void)state;
    machine.ram_size = 40 * GIB;
    smbios_build(&smbios, &machine, true);
    assert_int_equal(get(find(17, 0) + 0xc, 2), 16384);
    assert_int_equal(get(find(17, 2) + 0xc, 2), 8192);
    assert_null(find(17, 3));
    assert_int_equal(get(find(16, 0) + 0xd, 2), 3);
    assert_int_equal(get(find(19, 0) + 8, 4), (3 * GIB >> 10) - 1);
    assert_int_equal(get(find(19, 1) + 4, 4), 4 * GIB >> 10);
    assert_int_equal(get(find(19, 1) + 8, 4), (41 * GIB >> 10) - 1);
    smbios_free(&smbios);
    machine.ram_size = 8192 * GIB;
    smbios_build(&smbios, &machine, true);
    assert_int_equal(get(find(16, 0) + 7, 4), 0x80000000);
    assert_int_equal(get(find(16, 0) + 0xf, 8), 8192 * GIB);
    assert_int_equal(get(find(19, 1) + 4, 4), UINT32_MAX);
    assert_int_equal(get(find(19, 1) + 0xf, 8), 4 * GIB);
    assert_int_equal(get(find(19, 1) + 0x17, 8), 8193 * GIB - 1);
    smbios_free(&smbios);
}

static void changes(void **state)
{
    static const char *const texts[] = {
        "type=1,manufacturer=Me,,Inc,serial=S1,uuid=00112233-4455-6677-8899-aabbccddeeff",
        "type=1,serial=S2",
        "type=0,vendor=V,release=3.7",
        "type=2,product=B",
        "type=4,sock_pfx=U,max-speed=3000",
        "type=11,value=one",
        "type=11,value=two",
        "type=17,speed=2400,part=P"};
    static const uint8_t uuid[] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    static const uint8_t other[UUID_SIZE] = {1};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct settings *change = settings_parse("-smbios", texts[i], NULL);
        smbios_check(change);
        assert_null(settings_error(change));
        settings_append(&machine.changes, change);
    }
    machine.uuid = other;
    smbios_build(&smbios, &machine, false);
    const uint8_t *system = find(1, 0);
    assert_string_equal(string(system, 4), "Me,Inc");
    assert_string_equal(string(system, 7), "S2");
    assert_memory_equal(system + 8, uuid, UUID_SIZE);
    assert_string_equal(string(find(0, 0), 4), "V");
    assert_int_equal(find(0, 0)[0x14], 3);
    assert_int_equal(find(0, 0)[0x15], 7);
    assert_string_equal(string(find(2, 0), 5), "B");
    assert_string_equal(string(find(4, 1), 4), "U 1");
    assert_int_equal(get(find(4, 0) + 0x14, 2), 3000);
    assert_int_equal(find(11, 0)[4], 2);
    assert_string_equal(string(find(11, 0), 4), "two");
    assert_int_equal(get(find(17, 0) + 0x15, 2), 2400);
    smbios_free(&smbios);
    settings_free_all(machine.changes);
}

static void changes_that_make_no_sense(void **state)
{
    static const char *const cases[][2] = {
        {"foo=1", "Must specify type="},
        {"type=200,a=b", "Don't know how to build fields for SMBIOS type 200"},
        {"type=1,foo=1", "Invalid parameter 'foo'"},
        {"type=0,speed=1", "Invalid parameter 'speed'"},
        {"type=1,uuid=zz", "Invalid UUID"},
        {"type=0,release=1.x", "Invalid release"},
        {"type=0,release=1.256", "Invalid release"},
        {"type=4,max-speed=x", "Parameter 'max-speed' expects a number up to 65535"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings *change = settings_parse("-smbios", cases[i][0], NULL);
        char expected[200];
        smbios_check(change);
        snprintf(expected, sizeof(expected), "-smbios %s: %s", cases[i][0], cases[i][1]);
        assert_string_equal(settings_error(change), expected);
        settings_free(change);
    }
}

static void uuids(void **state)
{
    static const char *const bad[] = {
        "", "550e8400-e29b-41d4-a716-44665544000", "550e8400-e29b-41d4-a716-4466554400000",
        "550e8400e29b-41d4-a716-4466554400000", "g50e8400-e29b-41d4-a716-446655440000"};
    uint8_t uuid[UUID_SIZE];
    (void)state;
    assert_true(uuid_parse("550e8400-e29b-41D4-a716-446655440000", uuid));
    assert_memory_equal(uuid, "\x55\x0e\x84\x00\xe2\x9b\x41\xd4\xa7\x16\x44\x66\x55\x44\x00\x00", UUID_SIZE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(uuid_parse(bad[i], uuid));
}

/* dmidecode reads a dump: the entry point, and the tables 32 bytes on. */
static void dmidecode_agrees(void **state)
{
    char path[] = "/tmp/smbios_test.XXXXXX", command[900];
    static const uint8_t padding[1];
    (void)state;
    if (system("command -v dmidecode >/dev/null")) {
        print_message("no dmidecode: nobody else reads the tables\n");
        skip();
    }
    int descriptor = mkstemp(path);
    FILE *file = fdopen(descriptor, "wb");
    assert_non_null(file);
    smbios_build(&smbios, &machine, true);
    smbios_place(&smbios, SMBIOS_ENTRY_SIZE + 1);
    fwrite(smbios.entry, 1, SMBIOS_ENTRY_SIZE, file);
    fwrite(padding, 1, 1, file);
    fwrite(smbios.tables.bytes, 1, smbios.tables.size, file);
    fclose(file);
    smbios_free(&smbios);
    snprintf(command, sizeof(command),
             "text=$(dmidecode --from-dump %s 2>&1); rm %s; echo \"$text\" | grep -iE "
             "'bad|invalid|wrong|truncated|broken' && "
             "exit 1; for line in 'Maximum Capacity: 1 GB' 'Size: 1 GB' 'Thread Count: 4' 'Status: "
             "Populated, Enabled' "
             "'SMBIOS 2.8 present' 'Range Size: 1 GB'; do echo \"$text\" | grep -q \"$line\" || "
             "{ echo \"no $line\"; echo \"$text\"; exit 1; }; done",
             path, path);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(entry_point, set_up),      cmocka_unit_test_setup(structures, set_up),
        cmocka_unit_test_setup(much_memory, set_up),      cmocka_unit_test_setup(changes, set_up),
        cmocka_unit_test(changes_that_make_no_sense),     cmocka_unit_test(uuids),
        cmocka_unit_test_setup(dmidecode_agrees, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
