/* Kernels that are started directly: what is planned, and files that mean harm. Numbers: Linux's boot.rst, the Multiboot
 * Specification, Xen's PVH. */
#include "unit/unit.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/direct.h"
#include "firmware/mptable.h"

enum { MIB = 1 << 20, SETUP = 5 * 512, PAYLOAD = 4096 };

static char folder[] = "/tmp/direct_test.XXXXXX";
static char error[512];
static char kernel_path[64], initrd_path[64];
static struct direct_description machine;
static struct cpus cpus;

static void file_write(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = size; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static int set_up(void **state)
{
    (void)state;
    machine = (struct direct_description){.kernel = kernel_path,
                                          .ram_size = 64 * MIB,
                                          .long_mode = true,
                                          .tables = {&cpus, true, true, {true, true}, 64 * MIB},
                                          .smbios = {.ram_size = 64 * MIB, .cpus = &cpus}};
    memset(error, 0, sizeof(error));
    cpus_set_up(&cpus, &(struct topology){1, 1, 1, 1}, 1);
    return 0;
}

static void refused(const char *words)
{
    struct direct *direct = direct_open(&machine, error, sizeof(error));
    if (direct || !strstr(error, words) || strchr(error, '\n'))
        fail_msg("\"%s\" should say \"%s\"", error, words);
}

/* Guest memory with RAM everywhere, as after platform_set_up(). */
struct run {
    struct direct *direct;
    struct memory *memory;
    struct cpu_state state;
};

static void run(struct run *run)
{
    run->direct = direct_open(&machine, error, sizeof(error));
    if (!run->direct)
        fail_msg("%s", error);
    run->memory = memory_create(machine.ram_size);
    memory_map(run->memory,
               &(struct memory_range){0, machine.ram_size, memory_ram(run->memory), true, "ram"});
    memset(memory_ram(run->memory) + MIB, 0xee, 2 * MIB);
    assert_true(direct_load(run->direct, run->memory, error, sizeof(error)));
    memset(&run->state, 0xff, sizeof(run->state));
    direct_start(run->direct, &run->state);
}

static void finish(struct run *run)
{
    direct_close(run->direct);
    memory_destroy(run->memory);
}

static const uint8_t *ram(const struct run *run, uint64_t address)
{
    return memory_ram(run->memory) + address;
}

/* ---- Linux */

static uint8_t image[SETUP + PAYLOAD];

static void bzimage_make(void)
{
    memset(image, 0, sizeof(image));
    memset(image + SETUP, 0x90, PAYLOAD);
    image[0x1f1] = SETUP / 512 - 1;
    put(image + 0x1f4, PAYLOAD / 16, 4);
    put(image + 0x1fe, 0xaa55, 2);
    image[0x201] = 0x66;
    memcpy(image + 0x202, "HdrS", 4);
    put(image + 0x206, 0x20f, 2);
    image[0x211] = 1;
    put(image + 0x22c, 0x7fffffff, 4);
    put(image + 0x230, 0x200000, 4);
    image[0x234] = 1;
    put(image + 0x236, 1, 2);
    put(image + 0x238, 2047, 4);
    put(image + 0x258, 16 * MIB, 8);
    put(image + 0x260, 8 * MIB, 4);
    file_write(kernel_path, image, sizeof(image));
}

static void bzimage_with(unsigned offset, uint64_t value, unsigned size)
{
    bzimage_make();
    put(image + offset, value, size);
    file_write(kernel_path, image, sizeof(image));
}

static void linux_64(void **state)
{
    struct run guest;
    (void)state;
    bzimage_make();
    file_write(initrd_path, "the initrd", 10);
    machine.initrd = initrd_path;
    machine.append = "console=ttyS0";
    run(&guest);
    assert_int_equal(guest.state.rip, 16 * MIB + 0x200);
    assert_int_equal(guest.state.efer, 0x500);
    assert_int_equal(guest.state.cr4, 0x20);
    assert_int_equal(guest.state.cr0 & 0x80000001, 0x80000001);
    assert_int_equal(guest.state.segment[SEG_CS].selector, 0x10);
    assert_true(guest.state.segment[SEG_CS].rights & RIGHTS_L);
    assert_int_equal(guest.state.segment[SEG_DS].selector, 0x18);
    assert_false(guest.state.rflags & FLAG_IF);
    assert_memory_equal(ram(&guest, 16 * MIB), image + SETUP, PAYLOAD);
    const uint8_t *zero_page = ram(&guest, guest.state.gpr[RSI]);
    assert_memory_equal(zero_page + 0x202, "HdrS", 4);
    assert_int_equal(zero_page[0x210], 0xff);
    assert_string_equal((const char *)ram(&guest, get(zero_page + 0x228, 4)), "console=ttyS0");
    assert_int_equal(get(zero_page + 0x21c, 4), 10);
    assert_int_equal(get(zero_page + 0x218, 4), 64 * MIB - 4096);
    assert_memory_equal(ram(&guest, 64 * MIB - 4096), "the initrd", 10);
    assert_memory_equal(ram(&guest, get(zero_page + 0x70, 8)), "RSD PTR ", 8);
    assert_int_equal(zero_page[0x0f], 0); /* no screen that shows text */
    finish(&guest);
}

static void linux_memory_map(void **state)
{
    struct run guest;
    uint64_t sum = 0;
    (void)state;
    bzimage_make();
    run(&guest);
    const uint8_t *zero_page = ram(&guest, guest.state.gpr[RSI]);
    for (unsigned i = 0; i < zero_page[0x1e8]; i++) {
        const uint8_t *entry = zero_page + 0x2d0 + 20 * i;
        if (get(entry + 16, 4) == 1)
            sum += get(entry + 8, 8);
    }
    assert_int_equal(sum, 64 * MIB - MIB + 0x9fc00);
    finish(&guest);
}

static void linux_page_tables(void **state)
{
    struct run guest;
    (void)state;
    bzimage_make();
    run(&guest);
    const uint8_t *pml4 = ram(&guest, guest.state.cr3);
    for (uint64_t address = 0; address < 4096ull * MIB; address += 999 * MIB) {
        const uint8_t *pointers = ram(&guest, get(pml4, 8) & ~0xfffull);
        const uint8_t *directory = ram(&guest, get(pointers + 8 * (address >> 30), 8) & ~0xfffull);
        assert_int_equal(get(directory + 8 * (address >> 21 & 511), 8), (address & ~0x1fffffull) | 0x83);
    }
    const uint8_t *code = ram(&guest, guest.state.gdtr.base + 0x10);
    assert_int_equal(get(code, 8), 0x00af9b000000ffff);
    assert_int_equal(get(code + 8, 8), 0x00cf93000000ffff);
    finish(&guest);
}

static void linux_32(void **state)
{
    struct run guest;
    (void)state;
    bzimage_with(0x236, 0, 2);
    machine.long_mode = false;
    machine.text_mode = true;
    run(&guest);
    assert_int_equal(guest.state.rip, 16 * MIB);
    assert_int_equal(guest.state.cr0 & 0x80000001, 1);
    assert_true(guest.state.segment[SEG_CS].rights & RIGHTS_DB);
    assert_int_equal(get(ram(&guest, guest.state.gdtr.base + 0x10), 8), 0x00cf9b000000ffff);
    assert_int_equal(ram(&guest, guest.state.gpr[RSI])[0x0f], 1);
    assert_int_equal(ram(&guest, guest.state.gpr[RSI])[0x06], 3);
    finish(&guest);
}

static void linux_that_is_not_relocatable(void **state)
{
    struct run guest;
    (void)state;
    bzimage_with(0x234, 0, 1);
    run(&guest);
    assert_int_equal(guest.state.rip, MIB + 0x200);
    finish(&guest);
}

static void linux_that_means_harm(void **state)
{
    (void)state;
    bzimage_make();
    file_write(kernel_path, image, SETUP + PAYLOAD / 2);
    refused("ends early");
    file_write(kernel_path, image, 0x290);
    refused("ends early");
    bzimage_with(0x1f1, 255, 1);
    refused("setup code");
    bzimage_with(0x1f4, UINT32_MAX, 4);
    refused("ends early");
    bzimage_with(0x260, UINT32_MAX, 4);
    refused("(-m)");
    bzimage_with(0x258, UINT64_MAX - 4096, 8);
    refused("(-m)");
    bzimage_with(0x258, 0, 8);
    refused("(-m)");
    bzimage_with(0x258, 63 * MIB, 8);
    refused("64 MiB");
    bzimage_with(0x206, 0x201, 2);
    refused("2.01");
    bzimage_with(0x211, 0, 1);
    refused("zImage");
    bzimage_make();
    machine.long_mode = false;
    refused("64-bit");
    machine.long_mode = true;
    char *longest = malloc(3000);
    memset(longest, 'x', 2999);
    longest[2048] = 0;
    machine.append = longest;
    refused("2047");
    bzimage_with(0x238, UINT32_MAX, 4);
    longest = realloc(longest, 30000);
    memset(longest, 'x', 29999);
    longest[29999] = 0;
    machine.append = longest;
    refused("command line");
    free(longest);
}

static void initrds_that_do_not_fit(void **state)
{
    (void)state;
    bzimage_make();
    file_write(initrd_path, "x", 1);
    machine.initrd = initrd_path;
    assert_int_equal(truncate(initrd_path, 65 * MIB), 0);
    refused("do not fit");
    assert_int_equal(truncate(initrd_path, 40 * MIB + 1), 0); /* 24 MiB are the kernel's */
    refused("do not fit");
    assert_int_equal(truncate(initrd_path, 5ll << 30), 0);
    refused("do not fit");
    bzimage_with(0x22c, 20 * MIB, 4); /* a limit below the kernel's end */
    assert_int_equal(truncate(initrd_path, MIB), 0);
    refused("do not fit");
    bzimage_with(0x22c, 30 * MIB - 1, 4);
    struct run guest;
    run(&guest);
    assert_int_equal(get(ram(&guest, guest.state.gpr[RSI] + 0x218), 4), 29 * MIB);
    finish(&guest);
    machine.initrd = "/nonexistent";
    refused("could not load initrd '/nonexistent'");
}

/* Random bytes behind a valid signature: taken or refused, never more than that. */
static void random_headers(void **state)
{
    (void)state;
    srandom(1);
    for (unsigned round = 0; round < 2000; round++) {
        bzimage_make();
        for (unsigned i = 0; i < 4; i++)
            image[0x1f1 + random() % 0x80] = (uint8_t)random();
        file_write(kernel_path, image, sizeof(image));
        direct_close(direct_open(&machine, error, sizeof(error)));
    }
}

/* ---- multiboot */

static uint8_t multiboot[8192];

enum { HEADER_AT = 0x100, ADDRESSES = 1 << 16 };

static void multiboot_make(uint32_t flags, uint32_t header, uint32_t load, uint32_t load_end,
                           uint32_t bss_end, uint32_t entry)
{
    const uint32_t fields[] = {0x1badb002, flags, -(0x1badb002 + flags), header, load, load_end,
                               bss_end,    entry};
    memset(multiboot, 0xcc, sizeof(multiboot));
    for (unsigned i = 0; i < 8; i++)
        put(multiboot + HEADER_AT + 4 * i, fields[i], 4);
    file_write(kernel_path, multiboot, sizeof(multiboot));
}

static void multiboot_by_addresses(void **state)
{
    struct run guest;
    (void)state;
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, MIB + 0x1000, MIB + 0x3000, MIB + 0x200);
    machine.append = "words";
    run(&guest);
    assert_int_equal(guest.state.gpr[RAX], 0x2badb002);
    assert_int_equal(guest.state.rip, MIB + 0x200);
    assert_memory_equal(ram(&guest, MIB), multiboot, 0x1000);
    for (unsigned i = 0x1000; i < 0x3000; i++)
        assert_int_equal(*ram(&guest, MIB + i), 0);
    assert_int_equal(*ram(&guest, MIB + 0x3000), 0xee);
    const uint8_t *information = ram(&guest, guest.state.gpr[RBX]);
    assert_int_equal(get(information, 4) & 0x4d, 0x4d);
    assert_int_equal(get(information + 8, 4), 63 * 1024);
    char line[128];
    snprintf(line, sizeof(line), "%s words", kernel_path);
    assert_string_equal((const char *)ram(&guest, get(information + 16, 4)), line);
    assert_int_equal(get(ram(&guest, get(information + 48, 4)), 4), 20);
    finish(&guest);
}

static void multiboot_that_means_harm(void **state)
{
    (void)state;
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, MIB + 0x2000, MIB + 0x1000, MIB); /* CVE-2018-7550 */
    refused("BSS");
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, 0, MIB + 0x1000, MIB);
    refused("BSS");
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, MIB - 4, 0, MIB);
    refused("load end");
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, MIB + 0x1000, 0, MIB + 0x1000);
    refused("entry point");
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, MIB + 0x1000, 0, MIB - 1);
    refused("entry point");
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, MIB + 0x2001, 0, MIB);
    refused("ends early");
    multiboot_make(ADDRESSES, MIB, MIB + 4, 0, 0, MIB + 4);
    refused("load address");
    multiboot_make(ADDRESSES, MIB, 0, 0, 0, 0);
    refused("load address");
    multiboot_make(ADDRESSES, 0x100, 0, 0, 0, 0);
    refused("RAM");
    multiboot_make(ADDRESSES, 0xfffff100, 0xfffff000, 0, 0, 0xfffff000);
    refused("RAM");
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, 0, 0xf0000000, MIB);
    refused("RAM");
    multiboot_make(ADDRESSES, 0x9f100, 0x9f000, 0, 0, 0x9f000); /* over the EBDA into the hole */
    refused("RAM");
    multiboot_make(1 << 5, 0, 0, 0, 0, 0);
    refused("flags");
    multiboot_make(0, 0, 0, 0, 0, 0);
    refused("neither addresses");
}

static void multiboot_modules(void **state)
{
    char list[256];
    struct run guest;
    (void)state;
    multiboot_make(ADDRESSES, MIB + 0x100, MIB, 0, 0, MIB);
    file_write(initrd_path, "module", 6);
    snprintf(list, sizeof(list), "%s one,%s", initrd_path, initrd_path);
    machine.initrd = list;
    run(&guest);
    const uint8_t *information = ram(&guest, guest.state.gpr[RBX]);
    assert_int_equal(get(information + 20, 4), 2);
    const uint8_t *modules = ram(&guest, get(information + 24, 4));
    assert_int_equal(get(modules, 4), MIB + 0x2000);
    assert_int_equal(get(modules + 4, 4), MIB + 0x2006);
    assert_int_equal(get(modules + 16, 4), MIB + 0x3000);
    assert_memory_equal(ram(&guest, MIB + 0x3000), "module", 6);
    finish(&guest);
    assert_int_equal(truncate(initrd_path, 100 * MIB), 0);
    refused("do not fit");
    char *many = calloc(40, sizeof(initrd_path) + 1);
    assert_int_equal(truncate(initrd_path, 1), 0);
    for (unsigned i = 0; i < 40; i++)
        strcat(strcat(many, initrd_path), ",");
    machine.initrd = many;
    refused("more than 32 modules");
    free(many);
}

/* ---- ELF with a PVH entry */

static struct {
    Elf64_Ehdr header;
    Elf64_Phdr program[3];
    Elf64_Nhdr note;
    char name[4];
    uint32_t entry;
    uint8_t code[64];
} elf;

static void elf_make(void)
{
    memset(&elf, 0, sizeof(elf));
    memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
    elf.header.e_ident[EI_CLASS] = ELFCLASS64;
    elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
    elf.header.e_type = ET_EXEC;
    elf.header.e_machine = EM_X86_64;
    elf.header.e_phoff = sizeof(elf.header);
    elf.header.e_phentsize = sizeof(elf.program[0]);
    elf.header.e_phnum = 3;
    for (unsigned i = 0; i < 2; i++)
        elf.program[i] = (Elf64_Phdr){.p_type = PT_LOAD,
                                      .p_offset = (uint64_t)(elf.code - (uint8_t *)&elf),
                                      .p_paddr = (i + 1) * MIB,
                                      .p_filesz = sizeof(elf.code),
                                      .p_memsz = 0x1000};
    elf.program[2] = (Elf64_Phdr){.p_type = PT_NOTE,
                                  .p_offset = (uint64_t)((uint8_t *)&elf.note - (uint8_t *)&elf),
                                  .p_filesz = sizeof(elf.note) + 8};
    elf.note = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = 18};
    memcpy(elf.name, "Xen", 4);
    elf.entry = MIB + 0x10;
    memset(elf.code, 0x90, sizeof(elf.code));
}

static void elf_refused(const char *words)
{
    file_write(kernel_path, &elf, sizeof(elf));
    refused(words);
    elf_make();
}

static void pvh(void **state)
{
    struct run guest;
    (void)state;
    elf_make();
    file_write(kernel_path, &elf, sizeof(elf));
    file_write(initrd_path, "module", 6);
    machine.initrd = initrd_path;
    machine.append = "words";
    run(&guest);
    assert_int_equal(guest.state.rip, MIB + 0x10);
    assert_int_equal(guest.state.cr0 & 0x80000001, 1);
    assert_int_equal(guest.state.tr.limit, 0x67);
    assert_memory_equal(ram(&guest, 2 * MIB), elf.code, sizeof(elf.code));
    assert_int_equal(*ram(&guest, 2 * MIB + 0xfff), 0);
    const uint8_t *start = ram(&guest, guest.state.gpr[RBX]);
    assert_int_equal(get(start, 4), 0x336ec578);
    assert_int_equal(get(start + 12, 4), 1);
    assert_memory_equal(ram(&guest, get(ram(&guest, get(start + 16, 8)), 8)), "module", 6);
    assert_string_equal((const char *)ram(&guest, get(start + 24, 8)), "words");
    assert_memory_equal(ram(&guest, get(start + 32, 8)), "RSD PTR ", 8);
    assert_true(get(start + 48, 4) >= 4);
    finish(&guest);
}

static void elf_that_means_harm(void **state)
{
    (void)state;
    elf_make();
    elf.entry = 3 * MIB;
    elf_refused("entry point");
    elf.program[1].p_paddr = MIB + 0x800;
    elf_refused("overlap");
    elf.program[1].p_paddr = UINT64_MAX - 10;
    elf_refused("wraps");
    elf.program[1].p_memsz = UINT64_MAX;
    elf_refused("RAM");
    elf.program[1].p_filesz = 0x2000;
    elf_refused("larger in the file");
    elf.program[1].p_offset = UINT64_MAX - 1;
    elf_refused("ends early");
    elf.header.e_phnum = 0xffff;
    elf_refused("program headers");
    elf.header.e_phoff = UINT64_MAX - 8;
    elf_refused("no Linux");
    elf.program[2].p_filesz = UINT64_MAX;
    elf.note.n_namesz = UINT32_MAX;
    elf_refused("no Linux");
    machine.long_mode = false;
    elf_refused("64-bit");
}

static void mp_table(void **state)
{
    static const unsigned counts[] = {1, 2, 255};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct run guest;
        uint8_t sum = 0;
        unsigned seen = 0;
        bzimage_make();
        cpus_set_up(&cpus, &(struct topology){1, 1, counts[i], 1}, counts[i]);
        run(&guest);
        const uint8_t *pointer = ram(&guest, 0xf0020);
        assert_memory_equal(pointer, "_MP_", 4);
        const uint8_t *table = ram(&guest, get(pointer + 4, 4)), *entry = table + 44;
        assert_memory_equal(table, "PCMP", 4);
        assert_in_range(get(pointer + 4, 4), 0xf0000, 0x100000 - get(table + 4, 2));
        for (unsigned byte = 0; byte < get(table + 4, 2); byte++)
            sum = (uint8_t)(sum + table[byte]);
        assert_int_equal(sum, 0);
        for (unsigned left = (unsigned)get(table + 34, 2); left; left--) {
            seen += entry[0] == 0;
            entry += entry[0] == 0 ? 20 : 8;
        }
        assert_int_equal(entry - table, get(table + 4, 2));
        assert_int_equal(seen, counts[i]);
        finish(&guest);
    }
}

static void a_file_that_shrinks(void **state)
{
    (void)state;
    bzimage_make();
    struct direct *direct = direct_open(&machine, error, sizeof(error));
    struct memory *memory = memory_create(machine.ram_size);
    memory_map(memory, &(struct memory_range){0, machine.ram_size, memory_ram(memory), true, "ram"});
    assert_int_equal(truncate(kernel_path, 100), 0);
    assert_false(direct_load(direct, memory, error, sizeof(error)));
    assert_non_null(strstr(error, "shorter"));
    direct_close(direct);
    memory_destroy(memory);
}

static int folder_make(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", folder);
    snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", folder);
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    unlink(kernel_path);
    unlink(initrd_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(linux_64, set_up),
        cmocka_unit_test_setup(linux_memory_map, set_up),
        cmocka_unit_test_setup(linux_page_tables, set_up),
        cmocka_unit_test_setup(linux_32, set_up),
        cmocka_unit_test_setup(linux_that_is_not_relocatable, set_up),
        cmocka_unit_test_setup(linux_that_means_harm, set_up),
        cmocka_unit_test_setup(initrds_that_do_not_fit, set_up),
        cmocka_unit_test_setup(random_headers, set_up),
        cmocka_unit_test_setup(multiboot_by_addresses, set_up),
        cmocka_unit_test_setup(multiboot_that_means_harm, set_up),
        cmocka_unit_test_setup(multiboot_modules, set_up),
        cmocka_unit_test_setup(pvh, set_up),
        cmocka_unit_test_setup(elf_that_means_harm, set_up),
        cmocka_unit_test_setup(mp_table, set_up),
        cmocka_unit_test_setup(a_file_that_shrinks, set_up),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
