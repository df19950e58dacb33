/*
 * The FPU's ways of refusing (CR0.EM, TS, MP, NE), which tests/cpu cannot reach from CPL 3, and its state after RESET
 * and FNINIT. Numbers from Intel SDM volume 3A, table 9-1 (reset), 9.2.1 (FPU), volume 2 (FNINIT, FWAIT).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/soft/soft.h"
#include "cpu/soft/x87.h"

enum { NOTHING = -1, STANDS = -2 };
enum {
    FLDZ_OPCODE = 0xd9,
    FLDZ = 0xee,
    FNINIT_OPCODE = 0xdb,
    FNINIT = 0xe3,
    FDIV_OPCODE = 0xd8,
    FDIV_ST0 = 0xf0
};
enum { CONTROL_FNINIT = 0x37f, CONTROL_RESET = 0x40, STATUS_IE = 1, STATUS_ES = 0x80, STATUS_B = 0x8000 };
enum { FX_STATUS = 2, FX_TAGS = 4 };

static bool pin;
static struct soft soft;
static struct engine_machine machine;

static void pin_set(void *opaque, bool level)
{
    (void)opaque;
    pin = level;
}

static struct cpu *cpu_make(uint64_t cr0)
{
    struct cpu *cpu = calloc(1, sizeof *cpu);

    if (!machine.memory)
        machine = (struct engine_machine){.memory = memory_create(PAGE_SIZE), .float_error = pin_set};
    cpu->machine = &machine;
    cpu->soft = &soft;
    cpu->cr0 = cr0;
    x87_reset(cpu);
    return cpu;
}

static int vector_of_register(struct cpu *cpu, uint8_t opcode, uint8_t modrm)
{
    if (setjmp(cpu->fault_jump))
        return cpu->pending.vector;
    x87_register(cpu, opcode, modrm);
    return NOTHING;
}

static int vector_of_wait(struct cpu *cpu)
{
    switch (setjmp(cpu->fault_jump)) {
    case 0: x87_wait(cpu); return NOTHING;
    case JUMP_WAIT: return STANDS;
    default: return cpu->pending.vector;
    }
}

/* FNINIT, unmask invalid operation, 0 / 0. */
static void invalid_make(struct cpu *cpu)
{
    vector_of_register(cpu, FNINIT_OPCODE, FNINIT);
    cpu->fpu.control &= ~STATUS_IE;
    assert_int_equal(vector_of_register(cpu, FLDZ_OPCODE, FLDZ), NOTHING);
    assert_int_equal(vector_of_register(cpu, FDIV_OPCODE, FDIV_ST0), NOTHING);
}

static void reset_and_fninit(void **state)
{
    struct cpu *cpu = cpu_make(0);

    (void)state;
    assert_int_equal(cpu->fpu.control, CONTROL_RESET);
    assert_int_equal(cpu->fpu.tags, 0xff); /* all zeros, none empty */
    vector_of_register(cpu, FNINIT_OPCODE, FNINIT);
    assert_int_equal(cpu->fpu.control, CONTROL_FNINIT);
    assert_int_equal(cpu->fpu.status, 0);
    assert_int_equal(cpu->fpu.tags, 0);
    free(cpu);
}

static void not_available(void **state)
{
    static const uint64_t cr0[] = {CR0_TS, CR0_EM, CR0_TS | CR0_EM | CR0_MP};

    (void)state;
    for (unsigned i = 0; i < sizeof cr0 / sizeof cr0[0]; i++) {
        struct cpu *cpu = cpu_make(cr0[i]);
        assert_int_equal(vector_of_register(cpu, FLDZ_OPCODE, FLDZ), VECTOR_NM);
        assert_int_equal(vector_of_register(cpu, FNINIT_OPCODE, FNINIT), VECTOR_NM);
        free(cpu);
    }
}

static void wait_needs_both_bits(void **state)
{
    static const struct {
        uint64_t cr0;
        int vector;
    } rows[] = {{CR0_TS, NOTHING}, {CR0_MP, NOTHING}, {CR0_EM, NOTHING}, {CR0_MP | CR0_TS, VECTOR_NM}};

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cpu *cpu = cpu_make(rows[i].cr0);
        assert_int_equal(vector_of_wait(cpu), rows[i].vector);
        free(cpu);
    }
}

static void error_by_vector_16(void **state)
{
    struct cpu *cpu = cpu_make(CR0_NE);

    (void)state;
    invalid_make(cpu);
    assert_int_equal(cpu->fpu.status & (STATUS_IE | STATUS_ES | STATUS_B), STATUS_IE | STATUS_ES | STATUS_B);
    assert_int_equal(vector_of_wait(cpu), VECTOR_MF);
    assert_int_equal(vector_of_register(cpu, FLDZ_OPCODE, FLDZ), VECTOR_MF);
    assert_int_equal(vector_of_register(cpu, FNINIT_OPCODE, FNINIT), NOTHING); /* does not wait */
    assert_int_equal(vector_of_wait(cpu), NOTHING);
    free(cpu);
}

static void error_by_pin(void **state)
{
    struct cpu *cpu = cpu_make(0);

    (void)state;
    invalid_make(cpu);
    assert_false(pin);
    assert_int_equal(vector_of_wait(cpu), STANDS);
    assert_true(pin);
    soft.ignne = true;
    assert_int_equal(vector_of_wait(cpu), NOTHING);
    soft.ignne = false;
    vector_of_register(cpu, FNINIT_OPCODE, FNINIT);
    assert_false(pin);
    free(cpu);
}

static void image_there_and_back(void **state)
{
    struct cpu *one = cpu_make(0), *other = cpu_make(0);
    uint8_t first[512], second[512];

    (void)state;
    vector_of_register(one, FNINIT_OPCODE, FNINIT);
    vector_of_register(one, FLDZ_OPCODE, FLDZ);
    x87_image_get(one, first);
    assert_int_equal(first[FX_TAGS], 0x80);             /* R7 alone */
    assert_int_equal(first[FX_STATUS + 1] >> 3 & 7, 7); /* TOP */
    x87_image_put(other, first);
    x87_image_get(other, second);
    assert_memory_equal(first, second, sizeof first);
    free(one);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_and_fninit),     cmocka_unit_test(not_available),
        cmocka_unit_test(wait_needs_both_bits), cmocka_unit_test(error_by_vector_16),
        cmocka_unit_test(error_by_pin),         cmocka_unit_test(image_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
