/*
 * How guest code becomes host code: what the translate-*.c files share.
 *
 *   translate.c             a trace from block to block, which flags are wanted where, the code around it
 *   translate-table.c       which handler of the interpreter is which operation, and who emits it
 *   translate-integer.c     MOV and arithmetic; translate-convert.c: MOVZX, LEA, CMOVcc and their like;
 *                           translate-shift.c; translate-wide.c: what has implied or odd operands
 *   translate-flow.c        jumps, calls, returns, exits and their links
 *   translate-memory.c      addresses, the TLB, PUSH and POP
 *   translate-flags.c       where the guest's flags are
 *   translation.c           while it runs: entering, leaving, linking, dropping
 *   translate-thunks.c      the ways into translated code, out of it, and from it to C
 *
 * A translation is a trace: blocks of one page in the order in which they ran, entered at the top, left anywhere. The
 * guest's registers RAX to R11 live in host registers, in translated code always the same (host_of()); R12 to R15,
 * like everything else, in struct cpu, which R15 points to. R13 and R14 are scratch. Wherever code leaves, or calls
 * C, the registers are written back; so an access that may fault looks at the TLB inline and lets C find out about
 * the rest: a pointer comes back, or a fault is delivered with the state of the instruction's start, or the
 * interpreter executes this one instruction and what follows it in its block.
 *
 * The guest's arithmetic flags are not computed but remembered as an operation and where its operands are (struct
 * recipe): in registers, as constants, in the slots of cpu->lazy. They are written down only where code leaves, and
 * before a register that is one of the operands changes. At the beginning and the end of a translation they are in
 * cpu->lazy.
 *
 * RIP is a constant: a translation is for one physical and one linear address. So nothing about it is stored until
 * code leaves, and then it stands in a table, the sites, of which the code carries an index.
 */
#ifndef SOFT_TRANSLATOR_H
#define SOFT_TRANSLATOR_H

#include "cpu/soft/code.h"
#include "cpu/soft/emit.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/translate.h"

enum {
    REG_CPU = HOST_R15,
    SCRATCH = HOST_R13, /* a value, or the TLB's slot while it is looked at */
    ADDRESS = HOST_R14, /* of the memory operand: linear, then in the host */
};

enum {
    TRACE_PARTS = 16,
    TRACE_OPERATIONS = 96,
    TRACE_LOOP = 24,        /* a loop that is shorter is unrolled */
    CODE_MEMORY = 32 << 20, /* bytes of host code; when full everything is translated anew */
    CODE_MARGIN = 96 << 10, /* more than one translation ever takes */
    SITES_MOST = 1 << 19,
    DATA_MEMORY = 16 << 20, /* translations, uses, copies of operations */
    DATA_MARGIN = 64 << 10,
    DETOURS_MOST = 5 * TRACE_OPERATIONS,
    TRANSLATIONS_OF_BLOCK = 4, /* at different linear addresses */
};

/* ---- what there is while code runs ---- */

enum site_kind {
    SITE_NOTHING,   /* C has done all there is to do; index 0 */
    SITE_RUN_LOOP,  /* on at rip, by way of the run loop */
    SITE_LINK,      /* the same, and the next translation may be linked here */
    SITE_BAIL,      /* on with op in the interpreter */
    SITE_ACCESS,    /* an access that missed in the TLB: C may find the page, else a bail */
    SITE_OPERATION, /* op (and what follows it in its copy) is executed by its handler */
};

/* A place where translated code leaves or calls C. */
struct site {
    uint8_t kind, size;
    bool write;           /* accesses */
    bool same_page;       /* links: rip is in the page of the code it is left from */
    int32_t instructions; /* to add to cpu->instructions, which counts traces as if they ran to their end */
    uint64_t rip;         /* where to go on; for bails, accesses and operations: of the block's first byte */
    uint64_t physical;    /* links in the same page: of rip */
    struct block *block;  /* of op */
    const struct op *op;
    uint8_t *jump;  /* links: the distance in the jump to the next translation, as it is written */
    uint8_t *early; /* ... and five bytes for a jump to one that does not need the flags; may be NULL */
    uint32_t next;  /* of the links to the same translation; 0: none */
};

struct translation {
    uint64_t rip;
    struct block *block;
    uint8_t *code;    /* as written: after the checks that the page is mapped as it was */
    uint8_t *checked; /* ... before them */
    bool flags_dead;  /* it overwrites all arithmetic flags before it looks at them or leaves */
    bool dead;
    uint32_t incoming; /* sites linked to it */
    struct translation *next_of_block, *next;
};

/* A block that is part of a translation. */
struct use {
    struct translation *translation;
    struct use *next;
};

struct pool {
    uint8_t *base;
    size_t size, used;
};

struct code_memory {
    uint8_t *written, *executed; /* the same bytes */
    size_t size;
};

bool code_memory_create(struct code_memory *memory, size_t size);
void code_memory_destroy(struct code_memory *memory);
void *pool_take(struct pool *pool, size_t size);

/* translation.c: first operations of a block, one that counts its runs and one that enters; the end of a copy. */
op_function op_counted, op_translated, op_resume;
/* Called by translated code. */
uint8_t *translated_access(struct cpu *cpu, uint64_t linear, uint32_t site);
bool translated_operation(struct cpu *cpu, uint32_t site);
uint64_t translated_flags(struct cpu *cpu);
void translated_carry(struct cpu *cpu);

/* translate-thunks.c: writes them; code_at is behind them then. */
void thunks_write(struct translator *translator);

/* translate.c: NULL if the block is not worth it. */
struct translation *translate(struct cpu *cpu, struct block *block, uint64_t rip);

/* ---- flags ---- */

/*
 * What cpu->lazy.kind may hold beside enum flags_kind: an operation, the size in bits 8 to 5, and above that flags that
 * stand in cpu->carry and cpu->overflow whatever the operation says (also with a kind of flags.h). Operands and result
 * count by their low bytes.
 */
enum flags_translated {
    TRANSLATED_COMPARE = 8, /* left - right */
    TRANSLATED_SUB,         /* result = left - right, left is not there */
    TRANSLATED_ADD,         /* result = left + right, left is not there */
    TRANSLATED_ADC,         /* all three are there */
    TRANSLATED_SBB,
    TRANSLATED_LOGIC,
    TRANSLATED_NEG, /* result = 0 - right, right is not there */
    TRANSLATED_INC, /* with OVERRIDE_CARRY */
    TRANSLATED_DEC,
    TRANSLATED_RESULT, /* with both overrides; AF is clear */
    TRANSLATED_KIND = 31,
    TRANSLATED_SIZE_SHIFT = 5,
    TRANSLATED_MASK = 0x1ff,
    OVERRIDE_CARRY = 1 << 9,
    OVERRIDE_OVERFLOW = 1 << 10,
};

struct value {
    enum { VALUE_NONE, VALUE_REGISTER, VALUE_CONSTANT, VALUE_SLOT } where;
    uint8_t gpr;
    int32_t constant;
};

enum host_flags { HOST_FLAGS_NONE, HOST_FLAGS_CARRY = 1, HOST_FLAGS_OTHERS = 2, HOST_FLAGS_ALL = 3 };
enum recipe_kind { RECIPE_IN_CPU = 0, RECIPE_DEAD = 1 }; /* or enum flags_translated */
struct recipe {
    uint8_t kind, size;
    uint16_t overrides;
    struct value left, right, result;
    uint8_t host; /* what the host's EFLAGS have of them: enum host_flags */
};

enum live { LIVE_READ = 1, LIVE_EXIT = 2 }; /* by an operation of the trace; where it is left */

/* ---- a translation in the making ---- */

/* What an operation does to the arithmetic flags, and whether it may leave. */
struct effect {
    bool reads, writes; /* writes all of them */
    bool leaves;
};

struct trace;
struct item;
/* False: not in this form; nothing was emitted. */
typedef bool translate_function(struct trace *trace, const struct item *item);
typedef struct effect effect_function(const struct item *item);

enum flow { FLOW_NONE, FLOW_CONDITION, FLOW_JUMP, FLOW_CALL, FLOW_INDIRECT };

/* A table of handlers, and who emits them. The index tells which of them. */
struct family {
    op_function *const *handlers;
    unsigned count;
    translate_function *emit;
    effect_function *effect;
    enum flow flow; /* how it ends its block */
    unsigned forms; /* ... and then, how many there are for each size of 16, 32 and 64 bits */
};

struct item {
    const struct op *op;
    const struct family *family; /* NULL: the interpreter's handler is called */
    uint16_t index;
    uint8_t part;
    uint8_t live; /* after it */
    bool last;    /* of its block */
};

struct part {
    struct block *block;
    uint64_t rip;
    uint64_t next;  /* where the trace goes on behind it, if its end does not say otherwise */
    unsigned first; /* number of operations before it */
};

/* What seldom happens: code that stands behind the trace. */
enum detour_kind { DETOUR_LEAVE, DETOUR_EXIT, DETOUR_ACCESS, DETOUR_CARRY };
struct detour {
    uint8_t kind;
    uint8_t *jump; /* that leads here */
    uint8_t *back; /* where it goes on */
    uint32_t site;
    struct recipe recipe;
    uint64_t rip;     /* exits */
    unsigned retired; /* operations of the trace before the exit */
};

struct trace {
    struct cpu *cpu;
    struct translator *translator;
    struct emitter e;
    uint32_t mode;
    unsigned parts_count, count, detours_count;
    unsigned at; /* the item under way */
    bool ended;  /* nothing follows it */
    bool sse_ready;
    uint8_t live_in;
    struct recipe recipe;
    uint8_t *head;
    /* From here on what the counts above do not cover is nothing. */
    struct part parts[TRACE_PARTS];
    struct item items[TRACE_OPERATIONS + 1];
    struct detour detours[DETOURS_MOST];
};

struct translator {
    unsigned after;
    struct code_memory memory;
    uint8_t *code_at, *code_start; /* as written: next free, first after the thunks */
    struct pool data;
    struct site *sites;
    uint32_t sites_used;
    struct site *from; /* the link by which the last translation was left, NULL if otherwise */
    struct translation *translations;
    struct family_table *families;
    struct trace trace; /* the one in the making */
    bool dropped;       /* a translation was dropped since the last one was entered */
    /* Written once; as written. */
    uint32_t (*enter)(struct cpu *cpu, const uint8_t *code); /* executed; answers the site it came out at */
    uint8_t *leave, *access, *operation, *flags, *carry;
};

/* translate-table.c */
struct family_table *family_table_create(void); /* freed by free() */
/* NULL: nothing is known of that handler. */
const struct family *family_of(struct family_table *table, op_function *handler, uint16_t *index);
unsigned flow_size(const struct item *item); /* the operand size of a branch, in bytes */

/* translate.c */
uint32_t site_make(struct trace *trace, enum site_kind kind, const struct item *item);
struct detour *detour_make(struct trace *trace, enum detour_kind kind, uint8_t *jump, uint32_t site);
/* Where the item stands, and where the next one. */
uint64_t item_rip(const struct trace *trace, const struct item *item);
uint64_t item_next(const struct trace *trace, const struct item *item);

/* translate-flags.c */
void recipe_forget(struct trace *trace); /* the host's EFLAGS are about to be overwritten */
void recipe_before_write(struct trace *trace, unsigned gpr); /* this register is */
void recipe_store(struct trace *trace, const struct recipe *recipe);
void recipe_set(struct trace *trace, enum flags_translated kind, unsigned size);
void recipe_to_host(struct trace *trace, unsigned condition); /* clobbers SCRATCH */
void recipe_carry_ready(struct trace *trace); /* for INC and DEC: CF is in cpu->carry; clobbers SCRATCH */
/* Right after an instruction that changed CF, or CF and OF, and no other flag of the guest. */
void recipe_override(struct trace *trace, unsigned overrides);

/* translate-memory.c */
bool memory_possible(const struct op *op); /* not with 16-bit addresses */
/* The offset in its segment; SCRATCH and ADDRESS are clobbered, EFLAGS are not. */
void memory_address(struct trace *trace, const struct op *op, unsigned to);
/* From a linear address in ADDRESS to where the bytes are in the host; clobbers EFLAGS. */
void memory_find(struct trace *trace, const struct item *item, unsigned size, bool write);
/* After a miss: the linear address in ADDRESS again. */
void memory_again(struct trace *trace, bool write);
/* The address, and where it is in the host. */
void memory_operand(struct trace *trace, const struct item *item, unsigned size, bool write);
/* For LOCK, after that: leaves it to the interpreter if the operand in ADDRESS crosses a line. */
void memory_in_line(struct trace *trace, const struct item *item, unsigned size);
void push_constant(struct trace *trace, const struct item *item, uint64_t value);
void stack_top(struct trace *trace, const struct item *item);
void stack_move(struct trace *trace, int32_t bytes);
void register_set(struct trace *trace, unsigned gpr);
translate_function translate_push, translate_pop, translate_push_immediate, translate_leave;

/* translate-flow.c */
extern const uint8_t exit_nothing[5]; /* what stands in site->early while there is no link */
void exit_emit(struct trace *trace, uint64_t rip, const struct recipe *recipe, int32_t instructions);
uint64_t branch_target_of(const struct trace *trace, const struct item *item, unsigned size);
translate_function translate_jump_condition, translate_jump_near, translate_call_near, translate_return_near,
    translate_jump_register, translate_jump_memory, translate_call_register, translate_call_memory;

/* translate-integer.c and translate-wide.c */
translate_function translate_binary_operation, translate_unary_operation, translate_conditional_move,
    translate_set_condition, translate_load_address, translate_move_immediate_64, translate_zero_8,
    translate_zero_16, translate_sign_8, translate_sign_16, translate_sign_32, translate_zero_8_flat,
    translate_zero_16_flat;
translate_function translate_shift, translate_shift_left_double, translate_shift_right_double,
    translate_bit_register, translate_bit_immediate;
translate_function translate_multiply, translate_imul_two, translate_imul_three, translate_exchange,
    translate_byte_swap, translate_byte_swap_64, translate_cbw, translate_cwde, translate_cdqe, translate_cwd,
    translate_cdq, translate_cqo, translate_nothing;

/* Where an operation computes: the register itself, or SCRATCH with its value for one that is in memory. */
unsigned target_begin(struct trace *trace, unsigned size, unsigned offset);
/* After that; 32 bits clear the upper half. */
void target_end(struct trace *trace, unsigned size, unsigned offset);
/* What an operation left in SCRATCH, kept for the flags in a slot of cpu->lazy. */
struct value value_kept(struct trace *trace, struct place slot);

/* ---- operands ---- */

/* The host register of a guest register; HOST_NONE: it is in memory. */
static inline unsigned host_of(unsigned gpr)
{
    return gpr == RSP ? HOST_R12 : gpr < 12 ? gpr : HOST_NONE;
}

#define CPU_PLACE(field) place_at(REG_CPU, offsetof(struct cpu, field))

static inline struct place gpr_place(unsigned gpr)
{
    return place_at(REG_CPU, offsetof(struct cpu, gpr) + gpr * 8);
}

/* Of a register's offset in struct cpu, as operations have it. */
static inline unsigned gpr_of(unsigned offset)
{
    return offset / 8;
}

static inline bool is_high(unsigned offset)
{
    return offset & 7;
}

/* For operands of one byte too; HOST_NONE: in memory. */
static inline unsigned host_register(unsigned offset)
{
    return host_of(gpr_of(offset)) | (is_high(offset) ? HOST_HIGH : 0);
}

static inline struct place register_place(unsigned offset)
{
    return place_at(REG_CPU, offset);
}

/* The register that holds the operand: its own, or `scratch`, into which it is loaded. */
static inline unsigned register_load(struct trace *trace, unsigned size, unsigned offset, unsigned scratch)
{
    unsigned reg = host_register(offset);

    if (reg != HOST_NONE)
        return reg;
    emit_load(&trace->e, size < 4 ? 4 : size, scratch, register_place(offset));
    return scratch;
}

/* Tables of enum operand_form. */
static inline bool in_memory(const struct item *item)
{
    return item->index % OPERAND_FORMS != OPERAND_R;
}

static inline unsigned width_size(unsigned width)
{
    return 1u << width;
}

static inline bool code64(const struct trace *trace)
{
    return trace->mode & MODE_CODE64;
}

static inline unsigned word_size(const struct trace *trace)
{
    return code64(trace) ? 8 : 4;
}

#endif
