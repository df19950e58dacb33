/* The ACPI tables. Numbers: ACPI 6.4, chapters 5.2.3 to 5.2.12; ACPICA's iasl judges the AML. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/acpi.h"

enum { ADDRESS = 0xf0100 };

static struct cpus cpus;
static const struct acpi_description typical = {&cpus, true, true, {true, false}, true, 0x8000000};

static void cpus_of(unsigned cores)
{
    cpus_set_up(&cpus, &(struct topology){1, 1, cores, 1}, cores);
}

static uint32_t read32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;
    while (size--)
        total = (uint8_t)(total + *bytes++);
    return total;
}

struct placed {
    struct acpi acpi;
    uint8_t rsdp[ACPI_RSDP_SIZE];
};

static void place(struct placed *placed, const struct acpi_description *machine)
{
    acpi_build(&placed->acpi, machine);
    acpi_place(&placed->acpi, ADDRESS, placed->rsdp);
}

static const uint8_t *at(const struct placed *placed, uint32_t address)
{
    assert_in_range(address, ADDRESS, ADDRESS + placed->acpi.tables.size - 36);
    return placed->acpi.tables.bytes + (address - ADDRESS);
}

/* A table that the RSDT lists, its length and sum seen to; NULL if it isn't listed. */
static const uint8_t *table(const struct placed *placed, const char *signature)
{
    const uint8_t *rsdt = at(placed, read32(placed->rsdp + 16)), *found = NULL;
    assert_memory_equal(rsdt, "RSDT", 4);
    assert_int_equal(sum(rsdt, read32(rsdt + 4)), 0);
    for (uint32_t offset = 36; offset < read32(rsdt + 4); offset += 4) {
        const uint8_t *listed = at(placed, read32(rsdt + offset));
        assert_int_equal(sum(listed, read32(listed + 4)), 0);
        if (!memcmp(listed, signature, 4))
            found = listed;
    }
    return found;
}

static void root_pointer(void **state)
{
    struct placed placed;
    (void)state;
    place(&placed, &typical);
    assert_memory_equal(placed.rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(placed.rsdp, 20), 0);
    assert_int_equal(placed.rsdp[15], 0); /* ACPI 1.0's, of 20 bytes */
    assert_non_null(table(&placed, "FACP"));
    acpi_free(&placed.acpi);
}

static void fixed_hardware(void **state)
{
    struct placed placed;
    (void)state;
    place(&placed, &typical);
    const uint8_t *fadt = table(&placed, "FACP");
    assert_int_equal(read32(fadt + 4), 244);
    assert_int_equal(fadt[8], 3);
    const uint8_t *facs = at(&placed, read32(fadt + 36));
    assert_memory_equal(facs, "FACS", 4);
    assert_int_equal(read32(facs + 4), 64);
    assert_int_equal(read32(fadt + 36) % 64, ADDRESS % 64);
    const uint8_t *dsdt = at(&placed, read32(fadt + 40));
    assert_memory_equal(dsdt, "DSDT", 4);
    assert_int_equal(sum(dsdt, read32(dsdt + 4)), 0);
    assert_int_equal(fadt[46], 9);              /* SCI_INT */
    assert_int_equal(read32(fadt + 48), 0xb2);  /* SMI_CMD */
    assert_int_equal(fadt[52], 0xf1);           /* ACPI_ENABLE */
    assert_int_equal(read32(fadt + 56), 0x600); /* PM1a_EVT_BLK */
    assert_int_equal(read32(fadt + 64), 0x604); /* PM1a_CNT_BLK */
    assert_int_equal(read32(fadt + 76), 0x608); /* PM_TMR_BLK */
    assert_int_equal(fadt[88], 4);              /* PM1_EVT_LEN */
    assert_int_equal(fadt[89], 2);              /* PM1_CNT_LEN */
    assert_int_equal(fadt[91], 4);              /* PM_TMR_LEN */
    assert_int_equal(fadt[108], 0x32);          /* CENTURY */
    assert_int_equal(fadt[109], 3);             /* IAPC_BOOT_ARCH: legacy devices, 8042 */
    assert_int_equal(read32(fadt + 112) & 0x410,
                     0x400); /* a reset register; the power button is fixed hardware */
    assert_int_equal(fadt[116], 1);
    assert_int_equal(read32(fadt + 120), 0xcf9);
    acpi_free(&placed.acpi);
}

static void interrupt_controllers(void **state)
{
    static const unsigned counts[] = {1, 2, 255};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct acpi_description machine = typical;
        struct placed placed;
        unsigned seen = 0, ioapics = 0, overrides = 0;
        cpus_of(counts[i]);
        place(&placed, &machine);
        const uint8_t *madt = table(&placed, "APIC");
        assert_int_equal(read32(madt + 36), 0xfee00000);
        uint32_t offset = 44;
        for (; offset < read32(madt + 4); offset += madt[offset + 1]) {
            const uint8_t *entry = madt + offset;
            assert_true(entry[1] >= 2);
            if (entry[0] == 0) {
                assert_int_equal(entry[3], seen++);
                assert_int_equal(read32(entry + 4), 1);
            }
            ioapics += entry[0] == 1 && read32(entry + 4) == 0xfec00000 && read32(entry + 8) == 0;
            if (entry[0] == 2 && entry[3] == 0)
                assert_int_equal(read32(entry + 4), 2);
            if (entry[0] == 2 && entry[3] == 9)
                assert_int_equal(entry[8], 0x0d);
            overrides += entry[0] == 2;
        }
        assert_int_equal(offset, read32(madt + 4));
        assert_int_equal(seen, counts[i]);
        assert_int_equal(ioapics, 1);
        assert_int_equal(overrides, 5);
        acpi_free(&placed.acpi);
    }
}

/* A field of two bits for three cores; CPUs that may be plugged in are listed and not enabled. */
static void apic_identifiers_follow_the_topology(void **state)
{
    static const uint8_t identifiers[] = {0, 1, 2, 4, 5, 6};
    struct placed placed;
    unsigned seen = 0;
    (void)state;
    cpus_set_up(&cpus, &(struct topology){2, 1, 3, 1}, 4);
    place(&placed, &typical);
    const uint8_t *madt = table(&placed, "APIC");
    for (uint32_t offset = 44; offset < read32(madt + 4); offset += madt[offset + 1]) {
        const uint8_t *entry = madt + offset;
        if (entry[0] != 0)
            continue;
        assert_int_equal(entry[2], seen);
        assert_int_equal(entry[3], identifiers[seen]);
        assert_int_equal(read32(entry + 4), seen < 4);
        seen++;
    }
    assert_int_equal(seen, 6);
    acpi_free(&placed.acpi);
}

static void without_apics_there_is_no_madt(void **state)
{
    struct acpi_description machine = typical;
    struct placed placed;
    (void)state;
    cpus_of(1);
    machine.apic = false;
    place(&placed, &machine);
    assert_null(table(&placed, "APIC"));
    assert_non_null(table(&placed, "FACP"));
    acpi_free(&placed.acpi);
}

static void the_event_timer(void **state)
{
    struct acpi_description machine = typical;
    struct placed placed;
    (void)state;
    place(&placed, &machine);
    const uint8_t *hpet = table(&placed, "HPET");
    assert_int_equal(read32(hpet + 4), 56);
    assert_int_equal(read32(hpet + 36), 0x80862201);
    assert_int_equal(hpet[40], 0); /* memory */
    assert_int_equal(read32(hpet + 44), 0xfed00000);
    assert_int_equal(read32(hpet + 48), 0);
    acpi_free(&placed.acpi);
    machine.hpet = false;
    place(&placed, &machine);
    assert_null(table(&placed, "HPET"));
    acpi_free(&placed.acpi);
}

/* ---- AML */

static void package_lengths(void **state)
{
    static const struct {
        unsigned body, size;
        uint8_t bytes[3];
    } cases[] = {
        {0, 1, {0x01}},
        {62, 1, {0x3f}},
        {63, 2, {0x41, 0x04}},
        {4093, 2, {0x4f, 0xff}},
        {4094, 3, {0x81, 0x00, 0x01}},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct aml aml = {0};
        aml_open(&aml, AML_BUFFER);
        for (unsigned byte = 0; byte < cases[i].body; byte++)
            aml_number(&aml, 0xcc, 1);
        aml_close(&aml);
        assert_int_equal(aml.size, 1 + cases[i].size + cases[i].body);
        assert_memory_equal(aml.bytes + 1, cases[i].bytes, cases[i].size);
        aml_free(&aml);
    }
}

static void names_and_integers(void **state)
{
    struct aml aml = {0};
    (void)state;
    aml_path(&aml, "\\_SB");
    aml_path(&aml, "^ISA.PRQ0");
    aml_path(&aml, "A.B.C");
    aml_integer(&aml, 1);
    aml_integer(&aml, 2);
    aml_integer(&aml, 0x100);
    aml_integer(&aml, 0x10000);
    aml_name_eisa_id(&aml, "_HID", "PNP0A03");
    static const char expected[] = "\\_SB_"
                                   "^\x2eISA_PRQ0"
                                   "\x2f\x03"
                                   "A___B___C___"
                                   "\x01"
                                   "\x0a\x02"
                                   "\x0b\x00\x01"
                                   "\x0c\x00\x00\x01\x00"
                                   "\x08_HID\x0c\x41\xd0\x0a\x03";
    assert_int_equal(aml.size, sizeof(expected) - 1);
    assert_memory_equal(aml.bytes, expected, aml.size);
    aml_free(&aml);
}

/* iasl takes the tables apart and compiles what it has read again, without an error and without a warning that says
 * more than that the Processor term is of ACPI 5 and before. */
static void iasl_agrees(void **state)
{
    char folder[] = "/tmp/acpi_test.XXXXXX", command[512];
    static const char *const signatures[] = {"FACP", "APIC", "HPET", NULL};
    (void)state;
    if (system("command -v iasl >/dev/null")) {
        print_message("no iasl (package acpica-tools): the AML is not judged\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    for (unsigned cores = 1; cores < 256; cores += 254)
        for (unsigned i = 0; i < 4; i++) {
            struct acpi_description machine = typical;
            struct placed placed;
            cpus_of(cores);
            place(&placed, &machine);
            const uint8_t *bytes = signatures[i] ? table(&placed, signatures[i])
                                                 : at(&placed, read32(table(&placed, "FACP") + 40));
            snprintf(command, sizeof(command), "%s/t.aml", folder);
            FILE *file = fopen(command, "wb");
            fwrite(bytes, 1, read32(bytes + 4), file);
            fclose(file);
            snprintf(command, sizeof(command),
                     "cd %s && iasl -d t.aml >out 2>&1 && iasl -vr -w1 -vw 3168 t.dsl >>out 2>&1 && "
                     "grep -q ' 0 Errors, 0 Warnings' out || { cat out; false; }",
                     folder);
            assert_int_equal(system(command), 0);
            acpi_free(&placed.acpi);
        }
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_pointer),
        cmocka_unit_test(fixed_hardware),
        cmocka_unit_test(interrupt_controllers),
        cmocka_unit_test(apic_identifiers_follow_the_topology),
        cmocka_unit_test(without_apics_there_is_no_madt),
        cmocka_unit_test(the_event_timer),
        cmocka_unit_test(package_lengths),
        cmocka_unit_test(names_and_integers),
        cmocka_unit_test(iasl_agrees),
    };
    cpus_of(2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
