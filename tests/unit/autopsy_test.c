/* What the autopsy says of the triple faults that beginners meet. */
#include "unit/system_rig.h"

#include <stdio.h>

static char *autopsy_of(struct rig *rig, const struct cpu_state *state, const uint8_t *code, size_t size)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    memcpy(rig->ram + CODE, code, size);
    engine_soft.set_state(rig->vcpu, state);
    assert_int_equal(engine_soft.run(rig->vcpu), RUN_SHUTDOWN);
    engine_soft.autopsy(rig->vcpu, out);
    fclose(out);
    return text;
}

/* Words in the order in which they have to come. */
#define CHECK_AUTOPSY(rig, state, code, ...)                                                                 \
    do {                                                                                                     \
        char *text = autopsy_of(rig, state, code, sizeof(code));                                             \
        static const char *const words[] = {__VA_ARGS__};                                                    \
        const char *at = text;                                                                               \
        for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {                                    \
            const char *found = strstr(at, words[i]);                                                        \
            if (!found)                                                                                      \
                fail_msg("'%s' is not where it belongs in:\n%s", words[i], text);                            \
            at = found + strlen(words[i]);                                                                   \
        }                                                                                                    \
        free(text);                                                                                          \
    } while (0)

static const uint8_t ud2[] = {0x0f, 0x0b};

static void gate(struct rig *rig, unsigned vector, uint64_t raw)
{
    memcpy(rig->ram + IDT + vector * 8, &raw, sizeof(raw));
}

static void autopsy_null_idt(void **state)
{
    struct cpu_state cpu = protected_state(0);

    cpu.idtr.limit = 0;
    CHECK_AUTOPSY(*state, &cpu, ud2, "1. the instruction raised #UD", "0008:00010000  ud2",
                  "2. its delivery raised #GP", "the #UD gate: IDT limit is 0x0000, vector 6 needs 0x0037",
                  "#DF (double fault)", "the #DF gate: IDT limit is 0x0000", "shut down");
}

static void autopsy_bad_gate_type(void **state)
{
    struct cpu_state cpu = protected_state(0);

    gate(*state, VECTOR_UD, 0x00008c0000080000);
    CHECK_AUTOPSY(*state, &cpu, ud2, "#UD", "error code 0x0033: it is about IDT[6]",
                  "IDT[6] (the #UD gate) is a 32-bit call gate, not an interrupt, trap or task gate",
                  "IDT[13] (the #GP gate) is an empty (all zero) descriptor");
}

static void autopsy_absent_gate(void **state)
{
    struct cpu_state cpu = protected_state(0);

    gate(*state, VECTOR_UD, 0x00000e0000080000);
    CHECK_AUTOPSY(*state, &cpu, ud2, "#UD", "#NP (segment not present), error code 0x0033",
                  "IDT[6] (the #UD gate) is not present: present bit (47) clear");
}

static void autopsy_stack_too_small(void **state)
{
    struct cpu_state cpu = protected_state(0);

    cpu.segment[SEG_SS].limit = 0xfff;
    for (unsigned vector = 0; vector < 20; vector++)
        gate(*state, vector, 0x00008e0000080000);
    CHECK_AUTOPSY(*state, &cpu, ud2, "#UD", "#SS (stack fault)", "outside the segment's limit 0xfff",
                  "QEMU's TCG does not check this limit", "#DF");
}

static void autopsy_bad_cs_after_mov_cr0(void **state)
{
    /* mov cr0, eax; jmp 80h:7c00h, from real mode */
    static const uint8_t code[] = {0x0f, 0x22, 0xc0, 0xea, 0x00, 0x7c, 0x80, 0x00};
    struct cpu_state cpu = protected_state(0);

    cpu.cr0 = CR0_ET;
    cpu.gpr[RAX] = CR0_PE;
    for (int i = 0; i < SEG_COUNT; i++)
        cpu.segment[i] = (struct segment){0, 0x93, 0xffff, 0};
    cpu.segment[SEG_CS] = (struct segment){CODE >> 4, 0x93, 0xffff, CODE};
    cpu.rip = 0;
    cpu.idtr.limit = 0;
    CHECK_AUTOPSY(*state, &cpu, code,
                  "#GP (general protection), error code 0x0080: it is about selector 0x80, GDT[16]",
                  "jmp far 0x0080:0x7C00",
                  "CS: GDT[16] (selector 0x80) needs bytes up to 0x0087, the GDT limit is 0x0067");
}

static void autopsy_kernel_not_mapped(void **state)
{
    static const uint8_t code[] = {0x0f, 0x22, 0xc0, 0x90}; /* mov cr0, eax; nop */
    struct cpu_state cpu = protected_state(0);
    struct rig *rig = *state;

    memset(rig->ram + TABLE, 0, PAGE_SIZE);
    *entry_at(rig, DIRECTORY) = TABLE | P | W;
    cpu.cr3 = DIRECTORY;
    cpu.gpr[RAX] = CR0_PE | CR0_PG;
    CHECK_AUTOPSY(rig, &cpu, code, "#PF (page fault)",
                  "of linear address 0x00010003 by the system, the page is not present",
                  "page table at 0x00004040: entry 0x00000000, bit 0 (present) clear",
                  "the page directory entry 0x00004003 was fine");
}

static void autopsy_small_gdt(void **state)
{
    static const uint8_t code[] = {0x8e, 0xd8}; /* mov ds, eax */
    struct cpu_state cpu = protected_state(0);

    cpu.gdtr.limit = 0x17;
    cpu.gpr[RAX] = 0x18;
    cpu.idtr.limit = 0;
    CHECK_AUTOPSY(*state, &cpu, code, "#GP", "mov ds, ax",
                  "DS: GDT[3] (selector 0x18) needs bytes up to 0x001f, the GDT limit is 0x0017");
}

static void autopsy_read_only_stack(void **state)
{
    static const uint8_t code[] = {0x8e, 0xd0}; /* mov ss, eax */
    struct cpu_state cpu = protected_state(0);

    cpu.gpr[RAX] = 0x20;
    cpu.idtr.limit = 0;
    CHECK_AUTOPSY(*state, &cpu, code, "#GP", "0x0020", "mov ss, ax",
                  "SS: GDT[4] (selector 0x20) is read-only data: writable bit (41) clear",
                  "the #GP gate: IDT limit is 0x0000, vector 13 needs 0x006f");
}

/* As an engine that has the final state only would print it. */
static void autopsy_from_the_state_alone(void **state)
{
    struct rig *rig = *state;
    struct cpu_state cpu = protected_state(0);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    memcpy(rig->ram + CODE, ud2, sizeof(ud2));
    gate(rig, VECTOR_DF, 0x00008e0000100000);
    gate(rig, VECTOR_GP, 0x00000e0000080000);
    cpu.idtr.limit = 0x6f;
    autopsy_print(out, &cpu, rig->machine.memory, NULL, 0);
    fclose(out);
    assert_non_null(strstr(text, "inferred"));
    assert_non_null(strstr(text, "0008:00010000  ud2"));
    assert_non_null(strstr(text, "the #DF gate leads to GDT[2] (selector 0x10), which is not code"));
    assert_non_null(strstr(text, "IDT[13] (the #GP gate) is not present"));
    assert_non_null(strstr(text, "the #PF gate: IDT limit is 0x006f, vector 14 needs 0x0077"));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(autopsy_null_idt),        TEST(autopsy_bad_gate_type),        TEST(autopsy_absent_gate),
        TEST(autopsy_stack_too_small), TEST(autopsy_bad_cs_after_mov_cr0), TEST(autopsy_kernel_not_mapped),
        TEST(autopsy_small_gdt),       TEST(autopsy_read_only_stack),      TEST(autopsy_from_the_state_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
