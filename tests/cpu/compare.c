/*
 * Comparison of the two outcomes of a case, and the flags that are left out of it: only those that the SDM calls
 * undefined and that differ between generations of silicon (each reason in the table). AF after AND, OR, XOR and TEST is
 * undefined too, but every processor clears it: it is compared.
 */
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "cpu/state.h"

static const struct {
    uint32_t undefined;
    const char *reason;
} rules[RULES] = {
    [EXACT] = {0, "all flags are defined"},
    [SHIFT] = {FLAG_AF,
               "AF: kept by some, cleared by others; OF: for counts other than 1 AMD and Intel compute it "
               "differently; CF: shifted out beyond the operand's width"},
    [ROTATE] = {0, "OF: as for shifts, for counts other than 1"},
    [DOUBLE_SHIFT] = {FLAG_AF, "as shifts; with counts beyond 16 bits the result differs too"},
    [MULTIPLY] = {FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF,
                  "Pentium Pro and K7 leave them, later ones set SF and PF from the low half"},
    [DIVIDE] = {FLAGS_ARITHMETIC, "left, or remains of the division's steps"},
    [BIT_SCAN] = {FLAGS_ARITHMETIC & ~FLAG_ZF, "left by AMD; set from the result by Intel"},
    [BIT_TEST] = {FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF,
                  "left by most, set from the shifted operand by some"},
    [BCD_ADJUST] = {FLAG_OF, "cleared, left, or from the addition of 6 and 60h"},
    [BCD_SPLIT] = {FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF,
                   "from AL before or after its upper half is cleared"},
    [BCD_DIVIDE] = {FLAG_OF | FLAG_AF | FLAG_CF, "cleared, or from the addition that AAD ends with"},
};

static unsigned shift_count(const struct form *form, const struct variant *variant,
                            const struct record *record)
{
    if (strstr(form->name, ",cl"))
        return record->gpr[ECX] & 31;
    return variant->has_immediate ? variant->immediate & 31 : 1;
}

uint32_t flags_undefined(const struct form *form, const struct variant *variant, const struct record *record,
                         bool *result_too)
{
    uint32_t undefined = rules[form->rule].undefined;
    unsigned count, bits = variant->width * 8;

    *result_too = false;
    if (form->rule != SHIFT && form->rule != ROTATE && form->rule != DOUBLE_SHIFT)
        return undefined;
    count = shift_count(form, variant, record);
    if (count == 0)
        return 0;
    if (count != 1)
        undefined |= FLAG_OF;
    if (form->rule == SHIFT && count > bits)
        undefined |= FLAG_CF;
    *result_too = form->rule == DOUBLE_SHIFT && count > bits;
    return undefined;
}

static const char *const names[] = {"edi", "esi",   "ebp", "-",      "ebx", "edx",   "ecx",
                                    "eax", "flags", "esp", "vector", "eip", "error", "cr2"};
enum { OUTCOME_FLAGS = 8, OUTCOME_VECTOR = 10, OUTCOME_ERROR = 12, OUTCOME_CR2 = 13, OUTCOME_WORDS = 14 };

/* What of the outcome counts: not ESP in PUSHA's place; error code and CR2 only where an exception has them. */
static uint32_t outcome_mask(unsigned word, const struct outcome *native, uint32_t undefined)
{
    enum { ERROR_PRESENT = 1 << 0, ERROR_FETCH = 1 << 4 /* only with NX */ };
    /* the guest's kernel pages are there, though not for the user; the host has nothing at these addresses */
    bool in_kernel = native->cr2 >= KERNEL_BASE && native->cr2 < KERNEL_PAGES;

    if (word == ESP_UNUSED)
        return 0;
    if (word == OUTCOME_FLAGS)
        return ~(undefined | FLAG_RF);
    if (word == OUTCOME_ERROR)
        return ~(uint32_t)(ERROR_FETCH | (in_kernel ? ERROR_PRESENT : 0));
    if (word == OUTCOME_CR2)
        return native->vector == VECTOR_PF ? UINT32_MAX : 0;
    return UINT32_MAX;
}

static void bytes_print(const char *title, const uint8_t *bytes, unsigned count)
{
    printf("#   %s", title);
    for (unsigned i = 0; i < count; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

static void case_print(const struct record *native, const struct record *guest, uint32_t undefined, bool x87,
                       const uint8_t *code, unsigned length)
{
    const uint32_t *a = (const uint32_t *)&native->out, *b = (const uint32_t *)&guest->out;

    bytes_print("code", code, length);
    printf("#   in: flags %x esp %x", native->flags, native->esp);
    for (int i = REGISTERS - 1; i >= 0; i--)
        if (i != ESP_UNUSED)
            printf(" %s %x", names[i], native->gpr[i]);
    printf("\n");
    for (unsigned i = 0; i < OUTCOME_WORDS; i++)
        if ((a[i] ^ b[i]) & outcome_mask(i, &native->out, undefined))
            printf("#   %s: native %x, guest %x\n", names[i], a[i], b[i]);
    if (native->out.vector == NO_VECTOR && (native->out.flags ^ guest->out.flags) & ~undefined)
        printf("#   flags differ in %x\n", (native->out.flags ^ guest->out.flags) & ~undefined);
    if (memcmp(native->memory_out, guest->memory_out, SCRATCH_SIZE) != 0) {
        bytes_print("memory in    ", native->memory, SCRATCH_SIZE);
        bytes_print("memory native", native->memory_out, SCRATCH_SIZE);
        bytes_print("memory guest ", guest->memory_out, SCRATCH_SIZE);
    }
    if (x87) {
        bytes_print("memory    ", native->memory + SCRATCH_SIZE / 2, 16);
        bytes_print("x87 in    ", native->x87, X87_SIZE);
        bytes_print("x87 native", native->x87_out, X87_SIZE);
        bytes_print("x87 guest ", guest->x87_out, X87_SIZE);
    }
}

/*
 * FNSAVE's image: FCS, FDS and FDP are not what they were on any current processor (zero, or kept for exceptions only),
 * nor FIP and FOP on some; the words' upper halves are reserved.
 */
static bool x87_agrees(const uint8_t *native, const uint8_t *guest)
{
    enum { TAG_END = 10, REGISTERS_BEGIN = 28 };

    for (unsigned at = 0; at < TAG_END; at += 4)
        if (memcmp(native + at, guest + at, 2) != 0)
            return false;
    return memcmp(native + REGISTERS_BEGIN, guest + REGISTERS_BEGIN, X87_SIZE - REGISTERS_BEGIN) == 0;
}

bool record_agrees(const struct record *native, const struct record *guest, uint32_t undefined, bool x87,
                   const uint8_t *code, unsigned length, bool print)
{
    const uint32_t *a = (const uint32_t *)&native->out, *b = (const uint32_t *)&guest->out;
    bool same = memcmp(native->memory_out, guest->memory_out, SCRATCH_SIZE) == 0 &&
                (!x87 || x87_agrees(native->x87_out, guest->x87_out));

    for (unsigned i = 0; i < OUTCOME_WORDS; i++)
        same = same && !((a[i] ^ b[i]) & outcome_mask(i, &native->out, undefined));
    if (!same && print)
        case_print(native, guest, undefined, x87, code, length);
    return same;
}
