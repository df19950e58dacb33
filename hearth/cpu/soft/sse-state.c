/*
 * MXCSR and its exceptions; who may use XMM and MMX registers; FXSAVE, XSAVE and their like, XCR0.
 *
 * Where all exceptions are masked, as nearly always, the host's MXCSR is made the guest's once and stays so while
 * handlers run (cpu->mxcsr_live): the sticky flags then gather in the silicon. With an exception unmasked, each
 * instruction is computed with all masked, and its flags tell whether the guest's CPU would have raised #XM. Underflow
 * needs a second look: masked, an exact tiny result sets no flag, unmasked it is an exception; with flush-to-zero the
 * host shows every tiny result.
 *
 * Left out: with overflow or underflow unmasked, PE tells whether the masked result was exact, not the scaled one;
 * DPPS and DPPD raise #XM at their end, not after the products.
 *
 * As on Intel's processors FXSAVE always writes FIP, FDP and FOP. XSAVE knows the x87's and SSE's state.
 *
 * Source: Intel SDM volume 1, 10.2.3, 10.5, 11.5 (MXCSR), chapter 13 (XSAVE); volume 2; volume 3A, 13.1.
 */
#include "cpu/soft/features.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/sse-host.h"
#include "cpu/soft/system.h"
#include "cpu/soft/x87-host.h"

/* ---- who may ---- */

cold void sse_unavailable(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR)) {
        fault_because(cpu, "an SSE instruction with %s",
                      cpu->cr0 & CR0_EM ? "CR0.EM set" : "CR4.OSFXSR clear");
        fault(cpu, VECTOR_UD);
    }
    fault(cpu, VECTOR_NM);
}

cold void sse_misaligned(struct cpu *cpu)
{
    fault_because(cpu, "an SSE operand in memory is not aligned to 16 bytes");
    fault_error(cpu, VECTOR_GP, 0);
}

void mmx_check(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (unlikely(cpu->cr0 & CR0_EM))
        fault(cpu, VECTOR_UD);
    x87_available(cpu);
    x87_raise_pending(cpu);
}

/* ---- memory off the fast path ---- */

cold vector sse_load_slow(struct cpu *cpu, const struct op *op)
{
    vector value;

    load_bytes(cpu, op->segment, address(cpu, op), &value, sizeof value);
    return value;
}

cold void sse_store_slow(struct cpu *cpu, const struct op *op, vector value)
{
    store_bytes(cpu, op->segment, address(cpu, op), &value, sizeof value);
}

/* ---- MXCSR ---- */

static void host_mxcsr_set(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory");
}

static uint32_t host_mxcsr(void)
{
    uint32_t value;

    __asm__ volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value & MXCSR_DEFINED;
}

void sse_settle(struct cpu *cpu)
{
    if (!cpu->mxcsr_live)
        return;
    cpu->mxcsr = host_mxcsr();
    cpu->mxcsr_live = false;
    host_mxcsr_set(MXCSR_DEFAULT);
}

void sse_mxcsr_load(struct cpu *cpu, uint32_t value)
{
    if (value & ~(uint32_t)MXCSR_DEFINED) {
        fault_because(cpu, "MXCSR 0x%x has reserved bits set", value);
        fault_error(cpu, VECTOR_GP, 0);
    }
    sse_settle(cpu);
    cpu->mxcsr = value;
}

/* Computes under the guest's rounding with all exceptions masked; answers the flags. */
static uint32_t flags_of(struct cpu *cpu, vector_function *function, vector destination, vector source,
                         vector *result)
{
    uint32_t control = (cpu->mxcsr | MXCSR_MASKS) & ~MXCSR_FLAGS, flags;

    if (!(cpu->mxcsr & MXCSR_UM))
        control &= ~MXCSR_FZ;
    host_mxcsr_set(control);
    *result = function(destination, source);
    flags = host_mxcsr() & MXCSR_FLAGS;
    if (!(cpu->mxcsr & MXCSR_UM)) {
        host_mxcsr_set(control | MXCSR_FZ);
        function(destination, source);
        flags |= host_mxcsr() & MXCSR_UE;
    }
    host_mxcsr_set(MXCSR_DEFAULT);
    return flags;
}

cold vector sse_compute_slow(struct cpu *cpu, const struct op *op, vector_function *function,
                             vector destination, vector source)
{
    uint32_t unmasked = ~cpu->mxcsr >> MXCSR_MASK_SHIFT & MXCSR_FLAGS, flags, before;
    vector result;

    if (!unmasked) {
        host_mxcsr_set(cpu->mxcsr);
        cpu->mxcsr_live = true;
        return function(destination, source);
    }
    cpu->op = op;
    flags = flags_of(cpu, function, destination, source, &result);
    before = flags & (MXCSR_IE | MXCSR_DE | MXCSR_ZE); /* seen in the operands: comes first */
    if (before & unmasked)
        flags = before;
    cpu->mxcsr |= flags;
    if (!(flags & unmasked))
        return result;
    fault_because(cpu, "SSE exception: MXCSR is 0x%x", cpu->mxcsr);
    fault(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? VECTOR_XM : VECTOR_UD);
}

const struct op *sse_ldmxcsr(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    MAY_FAULT;
    sse_mxcsr_load(cpu, load(cpu, op->segment, address(cpu, op), 4));
    NEXT;
}

const struct op *sse_stmxcsr(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    MAY_FAULT;
    sse_settle(cpu);
    store(cpu, op->segment, address(cpu, op), 4, cpu->mxcsr);
    NEXT;
}

/* ---- the FXSAVE image ---- */

enum {
    IMAGE_X87_END = 24, /* MXCSR */
    IMAGE_MXCSR_END = 32,
    IMAGE_ST_END = 160,
    IMAGE_XMM_END_32 = 288, /* XMM0 to XMM7 */
    IMAGE_XMM_END_64 = 416,
    XMM_COUNT_32 = 8,
    XMM_COUNT_64 = 16,
    IMAGE_ALIGNMENT = 16,
    REAL10_SIZE = 10,
};

static unsigned xmm_count(const struct cpu *cpu)
{
    return in_64bit_code(cpu) ? XMM_COUNT_64 : XMM_COUNT_32;
}

/* Without REX.W the pointers are 32 bits and a selector. */
static void image_make(struct cpu *cpu, struct x87_image *image, bool wide)
{
    sse_settle(cpu);
    x87_image_get(cpu, (uint8_t *)image);
    if (!wide) {
        image->ip = (uint32_t)cpu->fpu.ip | (uint64_t)cpu->fpu.cs << 32;
        image->dp = (uint32_t)cpu->fpu.dp | (uint64_t)cpu->fpu.ds << 32;
    }
}

static void x87_take(struct cpu *cpu, const struct x87_image *image, bool wide)
{
    cpu->fpu.top = (image->status & STATUS_TOP) >> STATUS_TOP_SHIFT;
    cpu->fpu.tags = image->tags;
    cpu->fpu.opcode = image->opcode & 0x7ff;
    cpu->fpu.ip = wide ? image->ip : (uint32_t)image->ip;
    cpu->fpu.dp = wide ? image->dp : (uint32_t)image->dp;
    cpu->fpu.cs = wide ? 0 : image->ip >> 32;
    cpu->fpu.ds = wide ? 0 : image->dp >> 32;
    cpu->fpu.status = image->status;
    x87_control_set(cpu, image->control);
    for (unsigned i = 0; i < 8; i++)
        memcpy(x87_st(cpu, i), image->st[i], REAL10_SIZE);
}

static void xmm_take(struct cpu *cpu, const struct x87_image *image)
{
    memcpy(cpu->xmm, image->xmm, xmm_count(cpu) * sizeof cpu->xmm[0]);
}

/* #NM and #GP(0); answers the operand's offset. */
static uint64_t image_address(struct cpu *cpu, const struct op *op, unsigned size, unsigned alignment,
                              bool write)
{
    uint64_t offset = address(cpu, op);

    if (segment_linear(cpu, op->segment, offset, size, write) & (alignment - 1)) {
        fault_because(cpu, "an FXSAVE or XSAVE area is not aligned to %u bytes", alignment);
        fault_error(cpu, VECTOR_GP, 0);
    }
    return offset;
}

static void fxsave(struct cpu *cpu, const struct op *op, bool wide)
{
    unsigned size = in_64bit_code(cpu) ? IMAGE_XMM_END_64 : IMAGE_XMM_END_32;
    struct x87_image image;
    uint64_t offset;

    cpu->op = op;
    x87_available(cpu);
    offset = image_address(cpu, op, sizeof image, IMAGE_ALIGNMENT, true);
    image_make(cpu, &image, wide);
    store_bytes(cpu, op->segment, offset, &image, size);
}

static void fxrstor(struct cpu *cpu, const struct op *op, bool wide)
{
    struct x87_image image;
    uint64_t offset;

    cpu->op = op;
    x87_available(cpu);
    offset = image_address(cpu, op, sizeof image, IMAGE_ALIGNMENT, false);
    load_bytes(cpu, op->segment, offset, &image, sizeof image);
    sse_mxcsr_load(cpu, image.mxcsr);
    x87_take(cpu, &image, wide);
    xmm_take(cpu, &image);
}

/* ---- XSAVE ---- */

enum {
    XSAVE_ALIGNMENT = 64,
    HEADER_AT = 512,
    HEADER_WORDS = 8
}; /* 8 bytes each: XSTATE_BV, XCOMP_BV, zeros */

void sse_reset(struct cpu *cpu)
{
    sse_settle(cpu);
    cpu->xcr0 = XCR0_X87;
}

/* #UD and #NM; answers the components asked for in EDX:EAX that are switched on. */
static uint64_t xsave_components(struct cpu *cpu, const struct op *op)
{
    cpu->op = op;
    if (!(cpu->cr4 & CR4_OSXSAVE))
        fault(cpu, VECTOR_UD);
    if (cpu->cr0 & CR0_TS)
        fault(cpu, VECTOR_NM);
    return ((uint32_t)cpu->gpr[RAX] | cpu->gpr[RDX] << 32) & cpu->xcr0;
}

static void xsave(struct cpu *cpu, const struct op *op, bool wide)
{
    uint64_t components = xsave_components(cpu, op), present;
    uint64_t offset = image_address(cpu, op, XSAVE_SIZE, XSAVE_ALIGNMENT, true);
    uint8_t area[HEADER_AT];
    struct x87_image image;

    write_check(cpu, segment_linear(cpu, op->segment, offset, XSAVE_SIZE, true), XSAVE_SIZE, is_user(cpu));
    load_bytes(cpu, op->segment, offset, area, sizeof area);
    present = load(cpu, op->segment, offset + HEADER_AT, 8);
    image_make(cpu, &image, wide);
    if (components & XCR0_X87) {
        memcpy(area, &image, IMAGE_X87_END);
        memcpy(area + IMAGE_MXCSR_END, image.st, sizeof image.st);
    }
    if (components & XCR0_SSE) {
        memcpy(area + IMAGE_X87_END, (uint8_t *)&image + IMAGE_X87_END, IMAGE_MXCSR_END - IMAGE_X87_END);
        memcpy(area + IMAGE_ST_END, image.xmm, xmm_count(cpu) * sizeof image.xmm[0]);
    }
    store_bytes(cpu, op->segment, offset, area, sizeof area);
    store(cpu, op->segment, offset + HEADER_AT, 8, (present & ~components) | components);
}

static void xrstor(struct cpu *cpu, const struct op *op, bool wide)
{
    uint64_t components = xsave_components(cpu, op), header[HEADER_WORDS];
    uint64_t offset = image_address(cpu, op, XSAVE_SIZE, XSAVE_ALIGNMENT, false), reserved = 0;
    struct x87_image image;

    load_bytes(cpu, op->segment, offset + HEADER_AT, header, sizeof header);
    load_bytes(cpu, op->segment, offset, &image, sizeof image);
    for (unsigned i = 1; i < HEADER_WORDS; i++)
        reserved |= header[i];
    if (reserved || (header[0] & ~cpu->xcr0)) {
        fault_because(cpu, "XRSTOR of an area with a header that is not XSAVE's");
        fault_error(cpu, VECTOR_GP, 0);
    }
    if (components & XCR0_SSE)
        sse_mxcsr_load(cpu, image.mxcsr);
    if (components & header[0] & XCR0_X87)
        x87_take(cpu, &image, wide);
    else if (components & XCR0_X87)
        x87_clear(cpu);
    if (components & header[0] & XCR0_SSE)
        xmm_take(cpu, &image);
    else if (components & XCR0_SSE)
        memset(cpu->xmm, 0, xmm_count(cpu) * sizeof cpu->xmm[0]);
}

#define IMAGE_HANDLERS(name)                                                                                 \
    const struct op *sse_##name(struct cpu *cpu, const struct op *op)                                        \
    {                                                                                                        \
        name(cpu, op, false);                                                                                \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_64(struct cpu *cpu, const struct op *op)                                   \
    {                                                                                                        \
        name(cpu, op, true);                                                                                 \
        NEXT;                                                                                                \
    }
IMAGE_HANDLERS(fxsave)
IMAGE_HANDLERS(fxrstor)
IMAGE_HANDLERS(xsave)
IMAGE_HANDLERS(xrstor)

const struct op *sse_xgetbv(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    if (!(cpu->cr4 & CR4_OSXSAVE))
        fault(cpu, VECTOR_UD);
    if ((uint32_t)cpu->gpr[RCX] != 0) {
        fault_because(cpu, "XGETBV of XCR%u, which this CPU has not got", (uint32_t)cpu->gpr[RCX]);
        fault_error(cpu, VECTOR_GP, 0);
    }
    cpu->gpr[RAX] = cpu->xcr0;
    cpu->gpr[RDX] = 0;
    NEXT;
}

const struct op *sse_xsetbv(struct cpu *cpu, const struct op *op)
{
    uint64_t value = (uint32_t)cpu->gpr[RAX] | cpu->gpr[RDX] << 32;

    MAY_FAULT;
    if (!(cpu->cr4 & CR4_OSXSAVE))
        fault(cpu, VECTOR_UD);
    system_need_ring0(cpu, "XSETBV");
    if ((uint32_t)cpu->gpr[RCX] != 0 || (value & ~cpuid_xcr0(&cpu->soft->cpuid)) || !(value & XCR0_X87)) {
        fault_because(cpu, "XSETBV of XCR%u with 0x%llx", (uint32_t)cpu->gpr[RCX], (unsigned long long)value);
        fault_error(cpu, VECTOR_GP, 0);
    }
    cpu->xcr0 = value;
    NEXT;
}
