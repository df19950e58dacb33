/*
 * The system half of the software CPU: paging, segment loads, privileged instructions, called directly on a CPU whose
 * tables are made by hand. Expected vectors, error codes and bits are those of the SDM, volume 3A.
 */
#include "unit/system_rig.h"

/* The vector that the call raised, or NONE; the error code is in cpu->pending. */
#define FAULT_OF(cpu, call) (setjmp((cpu)->fault_jump) ? (int)(cpu)->pending.vector : ((void)(call), NONE))

/* Identity-maps 4 MiB with these bits and turns paging on. */
static void page(struct rig *rig, uint32_t bits, uint64_t cr0)
{
    *entry_at(rig, DIRECTORY) = TABLE | P | W | U;
    for (unsigned i = 0; i < 1024; i++)
        entry_at(rig, TABLE)[i] = i << 12 | bits;
    rig->cpu->cr3 = DIRECTORY;
    rig->cpu->cr0 |= CR0_PG | cr0;
    tlb_reset(rig->cpu);
}

/* ---- paging ---- */

static void reads_set_accessed_and_writes_dirty(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    page(rig, P | W, 0);
    assert_int_equal(slow_load(rig->cpu, 0x50004, 4, false), 0);
    assert_int_equal(entry_at(rig, TABLE)[0x50], 0x50000 | P | W | A);
    assert_true(*entry_at(rig, DIRECTORY) & A);
    slow_store(rig->cpu, 0x50004, 4, 0x12345678, false);
    assert_int_equal(entry_at(rig, TABLE)[0x50], 0x50000 | P | W | A | D);
    assert_int_equal(*entry_at(rig, 0x50004), 0x12345678);
}

static void page_faults_carry_the_right_error(void **state)
{
    static const struct {
        uint32_t bits;
        uint64_t cr0;
        bool write, user;
        int error; /* NONE: no fault */
    } cases[] = {
        {0, 0, false, false, 0},       {0, 0, true, false, 2},           {0, 0, false, true, 4},
        {0, 0, true, true, 6},         {P, 0, false, true, 5},           {P | W, 0, true, true, 7},
        {P | U, 0, true, true, 7},     {P | U, 0, true, false, NONE},    {P | U, CR0_WP, true, false, 3},
        {P | U, 0, false, true, NONE}, {P | W | U, 0, true, true, NONE},
    };
    struct rig *rig = *state;

    for (volatile unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *host;
        int vector;

        enter(rig, 0);
        page(rig, cases[i].bits, cases[i].cr0);
        vector = FAULT_OF(rig->cpu,
                          paging_translate(rig->cpu, 0x51234, cases[i].write ? ACCESS_WRITE : ACCESS_READ,
                                           cases[i].user, &host));
        if (cases[i].error == NONE) {
            assert_int_equal(vector, NONE);
            continue;
        }
        assert_int_equal(vector, VECTOR_PF);
        assert_int_equal(rig->cpu->pending.error, cases[i].error);
        assert_int_equal(rig->cpu->cr2, 0x51234);
        assert_false(entry_at(rig, TABLE)[0x51] & (A | D));
    }
}

static void large_pages_map_and_have_reserved_bits(void **state)
{
    struct rig *rig = *state;
    uint64_t physical;

    enter(rig, 0);
    page(rig, P | W, 0);
    rig->cpu->cr4 = CR4_PSE;
    entry_at(rig, DIRECTORY)[1] = 0 | P | W | PS;
    assert_true(paging_probe(rig->cpu, 0x400000 + 0x51000, &physical));
    assert_int_equal(physical, 0x51000);
    slow_store(rig->cpu, 0x400000 + 0x51000, 1, 7, false);
    assert_int_equal(rig->ram[0x51000], 7);
    assert_int_equal(entry_at(rig, DIRECTORY)[1], P | W | PS | A | D);
    entry_at(rig, DIRECTORY)[1] = 1 << 21 | P | W | PS;
    tlb_flush_page(rig->cpu, 0x400000); /* INVLPG anywhere in it forgets all of it */
    assert_int_equal(FAULT_OF(rig->cpu, slow_load(rig->cpu, 0x400000 + 0x51000, 1, false)), VECTOR_PF);
    assert_int_equal(rig->cpu->pending.error, 1 | 8);
}

static void global_pages_outlive_cr3(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    page(rig, P | W | G, 0);
    rig->cpu->cr4 = CR4_PGE;
    slow_load(rig->cpu, 0x50000, 4, false);
    entry_at(rig, TABLE)[0x50] = 0;
    system_write_cr(rig->cpu, 3, DIRECTORY);
    assert_int_equal(FAULT_OF(rig->cpu, slow_load(rig->cpu, 0x50000, 4, false)), NONE);
    system_invlpg(rig->cpu, 0x50000);
    assert_int_equal(FAULT_OF(rig->cpu, slow_load(rig->cpu, 0x50000, 4, false)), VECTOR_PF);
}

static void a_crossing_store_is_whole_or_not_at_all(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    page(rig, P | W, 0);
    entry_at(rig, TABLE)[0x52] = 0;
    assert_int_equal(FAULT_OF(rig->cpu, slow_store(rig->cpu, 0x51ffe, 4, 0x11223344, false)), VECTOR_PF);
    assert_int_equal(rig->cpu->cr2, 0x52000);
    assert_int_equal(rig->ram[0x51ffe], 0);
    entry_at(rig, TABLE)[0x52] = 0x60000 | P | W;
    slow_store(rig->cpu, 0x51ffe, 4, 0x11223344, false);
    assert_int_equal(rig->ram[0x51fff], 0x33);
    assert_int_equal(rig->ram[0x60000], 0x22);
    assert_int_equal(slow_load(rig->cpu, 0x51ffe, 4, false), 0x11223344);
}

/* ---- segments ---- */

static void segment_loads_are_checked(void **state)
{
    static const struct {
        unsigned level;
        enum segment_name name;
        uint16_t selector;
        int vector;
        uint32_t error;
    } cases[] = {
        {0, SEG_DS, 0x10, NONE, 0},
        {0, SEG_DS, 0, NONE, 0},
        {0, SEG_DS, 3, NONE, 0},
        {0, SEG_SS, 0, VECTOR_GP, 0},
        {0, SEG_SS, 0x20, VECTOR_GP, 0x20},
        {0, SEG_SS, 0x18, VECTOR_GP, 0x18},
        {0, SEG_SS, 0x13, VECTOR_GP, 0x10},
        {0, SEG_SS, 0x28, VECTOR_SS, 0x28},
        {0, SEG_DS, 0x28, VECTOR_NP, 0x28},
        {0, SEG_DS, 0x30, VECTOR_GP, 0x30},
        {0, SEG_DS, 0x38, NONE, 0},
        {0, SEG_DS, 0x40, VECTOR_GP, 0x40},
        {0, SEG_DS, 0x68, VECTOR_GP, 0x68},
        {0, SEG_DS, 0x14, VECTOR_GP, 0x14},
        {0, SEG_SS, 0x60, NONE, 0},
        {3, SEG_DS, 0x10, VECTOR_GP, 0x10},
        {3, SEG_DS, 0x38, NONE, 0},
        {3, SEG_SS, 0x1b, NONE, 0},
        {3, SEG_SS, 0x18, VECTOR_GP, 0x18},
        {3, SEG_ES, 0x18, NONE, 0},
        {0, SEG_FS, 0xfff8, VECTOR_GP, 0xfff8},
    };
    struct rig *rig = *state;

    for (volatile unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int vector;

        enter(rig, cases[i].level);
        vector = FAULT_OF(rig->cpu, segment_load(rig->cpu, cases[i].name, cases[i].selector));
        assert_int_equal(vector, cases[i].vector);
        if (vector == NONE)
            assert_int_equal(rig->cpu->segment[cases[i].name].selector, cases[i].selector);
        else
            assert_int_equal(rig->cpu->pending.error, cases[i].error);
    }
    assert_int_equal(rig->ram[GDT + 0x10 + 5], 0x93); /* accessed was set by the load */
    assert_int_equal(rig->ram[GDT + 0x20 + 5], 0x90);
}

static void real_mode_keeps_big_limits(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    segment_load(rig->cpu, SEG_DS, 0x10);
    system_write_cr(rig->cpu, 0, CR0_ET);
    segment_load(rig->cpu, SEG_DS, 0x1234);
    assert_int_equal(rig->cpu->segment[SEG_DS].base, 0x12340);
    assert_int_equal(rig->cpu->segment[SEG_DS].limit, UINT32_MAX);
}

static void descriptors_are_looked_at(void **state)
{
    static const struct {
        uint16_t selector;
        bool lar, lsl, verr, verw;
        uint32_t rights, limit;
    } cases[] = {
        {0x00, false, false, false, false, 0, 0},
        {0x10, true, true, true, true, 0x00cf9300, 0xffffffff},
        {0x20, true, true, true, false, 0x00cf9000, 0xffffffff},
        {0x30, true, true, false, false, 0x00cf9800, 0xffffffff},
        {0x40, true, true, false, false, 0x00008900, 0x67},
        {0x58, true, false, false, false, 0x00408c00, 0},
        {0x13, false, false, false, false, 0, 0}, /* RPL above DPL */
        {0x3b, true, true, true, false, 0x00cf9e00, 0xffffffff},
        {0xf000, false, false, false, false, 0, 0},
    };
    struct rig *rig = *state;

    enter(rig, 0);
    rig->ram[GDT + 0x10 + 5] |= 1;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t value = 0;

        assert_int_equal(system_lar(rig->cpu, cases[i].selector, &value), cases[i].lar);
        assert_int_equal(value, cases[i].rights);
        value = 0;
        assert_int_equal(system_lsl(rig->cpu, cases[i].selector, &value), cases[i].lsl);
        assert_int_equal(value, cases[i].limit);
        assert_int_equal(system_verr(rig->cpu, cases[i].selector), cases[i].verr);
        assert_int_equal(system_verw(rig->cpu, cases[i].selector), cases[i].verw);
    }
}

/* ---- privileged instructions ---- */

static void control_registers_refuse_nonsense(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    assert_int_equal(FAULT_OF(rig->cpu, system_write_cr(rig->cpu, 0, CR0_PG)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_write_cr(rig->cpu, 0, CR0_PE | CR0_NW)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_write_cr(rig->cpu, 4, 1u << 12)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_write_cr(rig->cpu, 4, 1u << 31)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_write_cr(rig->cpu, 1, 0)), VECTOR_UD);
    system_lmsw(rig->cpu, 0);
    assert_true(system_read_cr(rig->cpu, 0) & CR0_PE);
    enter(rig, 3);
    assert_int_equal(FAULT_OF(rig->cpu, system_write_cr(rig->cpu, 0, CR0_PE)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_hlt(rig->cpu)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_cli(rig->cpu)), VECTOR_GP);
}

static void umip_keeps_what_is_the_systems(void **state)
{
    struct rig *rig = *state;

    enter(rig, 3);
    assert_int_equal(FAULT_OF(rig->cpu, system_sldt(rig->cpu)), NONE);
    rig->cpu->cr4 |= CR4_UMIP;
    assert_int_equal(FAULT_OF(rig->cpu, system_sldt(rig->cpu)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_str(rig->cpu)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_smsw(rig->cpu)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_store_gdt(rig->cpu, SEG_DS, STACK, 4)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_store_idt(rig->cpu, SEG_DS, STACK, 4)), VECTOR_GP);
    enter(rig, 0);
    rig->cpu->cr4 |= CR4_UMIP;
    assert_int_equal(FAULT_OF(rig->cpu, system_smsw(rig->cpu)), NONE);
}

static uint64_t msr_value(struct rig *rig, uint32_t number)
{
    rig->cpu->gpr[RCX] = number;
    system_rdmsr(rig->cpu);
    return rig->cpu->gpr[RAX] | rig->cpu->gpr[RDX] << 32;
}

/* What is written to the one moves the other. The clock of the rig stands. */
static void tsc_adjust_follows_the_tsc(void **state)
{
    enum { TSC = 0x10, TSC_ADJUST = 0x3b };
    struct rig *rig = *state;
    uint64_t start;

    enter(rig, 0);
    start = msr_value(rig, TSC);
    assert_int_equal(msr_value(rig, TSC_ADJUST), 0);
    rig->cpu->gpr[RCX] = TSC_ADJUST;
    rig->cpu->gpr[RAX] = 1000;
    rig->cpu->gpr[RDX] = 0;
    system_wrmsr(rig->cpu);
    assert_int_equal(msr_value(rig, TSC), start + 1000);
    rig->cpu->gpr[RCX] = TSC;
    rig->cpu->gpr[RAX] = start + 1500;
    rig->cpu->gpr[RDX] = (start + 1500) >> 32;
    system_wrmsr(rig->cpu);
    assert_int_equal(msr_value(rig, TSC_ADJUST), 1500);
}

static void lgdt_with_16_bits_loads_24_of_the_base(void **state)
{
    static const uint8_t image[] = {0x34, 0x12, 0x78, 0x56, 0x34, 0x12};
    struct rig *rig = *state;

    enter(rig, 0);
    memcpy(rig->ram + 0x9000, image, sizeof(image));
    system_load_gdt(rig->cpu, SEG_DS, 0x9000, 2);
    assert_int_equal(rig->cpu->gdtr.limit, 0x1234);
    assert_int_equal(rig->cpu->gdtr.base, 0x345678);
    system_load_gdt(rig->cpu, SEG_DS, 0x9000, 4);
    assert_int_equal(rig->cpu->gdtr.base, 0x12345678);
}

static void ltr_takes_available_tss_only(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    rig->ram[GDT + 0x40 + 5] = 0x89;
    system_ltr(rig->cpu, 0x40);
    assert_int_equal(rig->ram[GDT + 0x40 + 5], 0x8b);
    assert_int_equal(FAULT_OF(rig->cpu, system_ltr(rig->cpu, 0x40)), VECTOR_GP);
    assert_int_equal(rig->cpu->pending.error, 0x40);
    assert_int_equal(FAULT_OF(rig->cpu, system_ltr(rig->cpu, 0)), VECTOR_GP);
    assert_int_equal(rig->cpu->pending.error, 0);
    assert_int_equal(FAULT_OF(rig->cpu, system_lldt(rig->cpu, 0x10)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, system_lldt(rig->cpu, 0x50)), NONE);
    assert_int_equal(rig->cpu->ldtr.base, 0x8000);
}

static void the_tss_opens_ports(void **state)
{
    struct rig *rig = *state;

    enter(rig, 3);
    rig->cpu->tr.limit = 0x67 + 0x21;
    rig->ram[TSS + 0x66] = 0x68;
    rig->ram[TSS + 0x67] = 0;
    memset(rig->ram + TSS + 0x68, 0xff, 0x21);
    rig->ram[TSS + 0x68 + 0x0c] = 0xf0; /* ports 60h to 63h */
    assert_int_equal(FAULT_OF(rig->cpu, task_check_ports(rig->cpu, 0x60, 4)), NONE);
    assert_int_equal(FAULT_OF(rig->cpu, task_check_ports(rig->cpu, 0x61, 4)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, task_check_ports(rig->cpu, 0x64, 1)), VECTOR_GP);
    assert_int_equal(FAULT_OF(rig->cpu, task_check_ports(rig->cpu, 0x1000, 1)),
                     VECTOR_GP); /* past the limit */
    rig->cpu->rflags |= FLAG_IOPL;
    assert_int_equal(FAULT_OF(rig->cpu, task_check_ports(rig->cpu, 0x1000, 1)), NONE);
}

static void msrs_that_are_not_there_fault(void **state)
{
    struct rig *rig = *state;

    enter(rig, 0);
    rig->cpu->gpr[RCX] = 0x1c;
    assert_int_equal(FAULT_OF(rig->cpu, system_rdmsr(rig->cpu)), VECTOR_GP);
    rig->cpu->gpr[RCX] = 0x10;
    rig->cpu->gpr[RAX] = 1000;
    rig->cpu->gpr[RDX] = 5;
    system_wrmsr(rig->cpu);
    system_rdtsc(rig->cpu);
    assert_int_equal(rig->cpu->gpr[RDX], 5);
}

/* ---- long mode: what QEMU's TCG lets pass, and tests/guests/long.asm therefore cannot ask ---- */

#define EFER_NUMBER 0xc0000080u
#define GS_NUMBER   0xc0000101u

static void write_msr(struct rig *rig, uint32_t number, uint64_t value)
{
    rig->cpu->gpr[RCX] = number;
    rig->cpu->gpr[RAX] = (uint32_t)value;
    rig->cpu->gpr[RDX] = value >> 32;
    system_wrmsr(rig->cpu);
}

/* Tables of four levels at DIRECTORY that map the first 2 MiB by one page with these bits. */
static void enter_long(struct rig *rig, uint64_t bits)
{
    static const unsigned tables[] = {DIRECTORY, TABLE, 0x5000};

    enter(rig, 0);
    memcpy(rig->ram + tables[0], &(uint64_t){tables[1] | P | W | U}, 8);
    memcpy(rig->ram + tables[1], &(uint64_t){tables[2] | P | W | U}, 8);
    memcpy(rig->ram + tables[2], &(uint64_t){P | W | PS | bits}, 8);
    system_write_cr(rig->cpu, 4, CR4_PAE);
    system_write_cr(rig->cpu, 3, tables[0]);
    write_msr(rig, EFER_NUMBER, EFER_LME | EFER_SCE);
    system_write_cr(rig->cpu, 0, rig->cpu->cr0 | CR0_PG);
    rig->cpu->segment[SEG_CS].rights = (rig->cpu->segment[SEG_CS].rights & ~RIGHTS_DB) | RIGHTS_L;
    segments_changed(rig->cpu);
}

static void long_mode_has_its_rules(void **state)
{
    struct rig *rig = *state;
    struct cpu *cpu = rig->cpu;

    enter_long(rig, 0);
    assert_true(cpu->efer & EFER_LMA);
    assert_int_equal(FAULT_OF(cpu, system_write_cr(cpu, 0, cpu->cr0 & ~(uint64_t)CR0_PG)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, system_write_cr(cpu, 0, cpu->cr0 | 1ull << 32)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, system_write_cr(cpu, 3, 1ull << 45)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, system_write_cr(cpu, 4, 0)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, system_write_cr(cpu, 8, 16)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, write_msr(rig, EFER_NUMBER, EFER_SCE)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, write_msr(rig, GS_NUMBER, 1ull << 47)), VECTOR_GP);
    assert_int_equal(FAULT_OF(cpu, system_sysenter(cpu)), VECTOR_UD);
    enter(rig, 0);
    system_write_cr(cpu, 4, 0);
    write_msr(rig, EFER_NUMBER, EFER_LME); /* but CR4.PAE is clear */
    assert_int_equal(FAULT_OF(cpu, system_write_cr(cpu, 0, cpu->cr0 | CR0_PG)), VECTOR_GP);
}

static void reserved_bits_fault_as_present(void **state)
{
    struct rig *rig = *state;

    enter_long(rig, 1 << 13);
    assert_int_equal(FAULT_OF(rig->cpu, slow_load(rig->cpu, 0x50000, 4, false)), VECTOR_PF);
    assert_int_equal(rig->cpu->pending.error, 9);
    enter_long(rig, 1ull << 63); /* no execute, with EFER.NXE clear */
    assert_int_equal(FAULT_OF(rig->cpu, slow_store(rig->cpu, 0x50000, 4, 0, true)), VECTOR_PF);
    assert_int_equal(rig->cpu->pending.error, 0xf);
}

static void code_is_64_bit_or_32_bit(void **state)
{
    struct rig *rig = *state;
    uint64_t both = 0x00ef9a000000ffff;

    enter_long(rig, 0);
    memcpy(rig->ram + GDT + 0x08, &both, sizeof(both));
    assert_int_equal(FAULT_OF(rig->cpu, far_jump(rig->cpu, 0x08, CODE, 8)), VECTOR_GP);
    assert_int_equal(rig->cpu->pending.error, 0x08);
    rig->ram[GDT + 0x0e] = 0xaf; /* L alone */
    assert_int_equal(FAULT_OF(rig->cpu, far_jump(rig->cpu, 0x08, 1ull << 47, 8)), VECTOR_GP);
    assert_int_equal(rig->cpu->pending.error, 0);
    assert_int_equal(FAULT_OF(rig->cpu, far_jump(rig->cpu, 0x08, CODE, 8)), NONE);
}

static void sysenter_and_back(void **state)
{
    struct rig *rig = *state;
    struct cpu *cpu = rig->cpu;

    enter(rig, 3);
    assert_int_equal(FAULT_OF(cpu, system_sysenter(cpu)), VECTOR_GP); /* SYSENTER_CS is null */
    cpu->msr.sysenter_cs = 0x08;
    cpu->msr.sysenter_esp = STACK + 0x100;
    cpu->msr.sysenter_eip = CODE + 0x100;
    cpu->rflags |= FLAG_IF;
    system_sysenter(cpu);
    assert_int_equal(cpl(cpu), 0);
    assert_int_equal(cpu->segment[SEG_CS].selector, 0x08);
    assert_int_equal(cpu->segment[SEG_SS].selector, 0x10);
    assert_int_equal(cpu->rip, CODE + 0x100);
    assert_int_equal(cpu->gpr[RSP], STACK + 0x100);
    assert_false(cpu->rflags & FLAG_IF);
    cpu->gpr[RCX] = STACK;
    cpu->gpr[RDX] = CODE;
    system_sysexit(cpu);
    assert_int_equal(cpl(cpu), 3);
    assert_int_equal(cpu->segment[SEG_CS].selector, 0x1b);
    assert_int_equal(cpu->segment[SEG_SS].selector, 0x23);
    assert_int_equal(cpu->rip, CODE);
    assert_int_equal(cpu->gpr[RSP], STACK);
    assert_int_equal(FAULT_OF(cpu, system_sysexit(cpu)), VECTOR_GP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_set_accessed_and_writes_dirty),
        TEST(page_faults_carry_the_right_error),
        TEST(large_pages_map_and_have_reserved_bits),
        TEST(global_pages_outlive_cr3),
        TEST(a_crossing_store_is_whole_or_not_at_all),
        TEST(segment_loads_are_checked),
        TEST(real_mode_keeps_big_limits),
        TEST(descriptors_are_looked_at),
        TEST(control_registers_refuse_nonsense),
        TEST(umip_keeps_what_is_the_systems),
        TEST(tsc_adjust_follows_the_tsc),
        TEST(lgdt_with_16_bits_loads_24_of_the_base),
        TEST(ltr_takes_available_tss_only),
        TEST(the_tss_opens_ports),
        TEST(msrs_that_are_not_there_fault),
        TEST(long_mode_has_its_rules),
        TEST(reserved_bits_fault_as_present),
        TEST(code_is_64_bit_or_32_bit),
        TEST(sysenter_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
