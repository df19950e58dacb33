/*
 * Translations while the guest runs: counting until a block is hot, going in and coming out, what translated code asks
 * of C, links between translations, and dropping them.
 *
 * What translated code counts, stores and leaves out of struct cpu is put right here, from the table of sites: the
 * rest of cpu/soft finds everything as if the interpreter had run. A translation that is dropped loses its links and
 * its entry in cpu->jumps, so nothing leads to it; its memory is used again when everything is dropped.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "core/log.h"
#include "cpu/soft/dispatch.h"
#include "cpu/soft/translator.h"

/* ---- all of it ---- */

void *pool_take(struct pool *pool, size_t size)
{
    void *taken = pool->base + pool->used;

    pool->used += (size + 15) & ~(size_t)15;
    assert(pool->used <= pool->size);
    return taken;
}

static void *lazy_memory(size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

struct translator *translator_create(unsigned after)
{
#ifdef PLAIN_DISPATCH
    return NULL;
#endif
    struct translator *translator = allocate(sizeof(*translator));

    translator->after = after;
    translator->data = (struct pool){lazy_memory(DATA_MEMORY), DATA_MEMORY, 0};
    translator->sites = lazy_memory(SITES_MOST * sizeof(struct site));
    translator->sites_used = 1; /* 0 is SITE_NOTHING */
    if (code_memory_create(&translator->memory, CODE_MEMORY) && translator->data.base != MAP_FAILED &&
        (void *)translator->sites != MAP_FAILED)
        return translator;
    translator_destroy(translator);
    return NULL;
}

void translator_destroy(struct translator *translator)
{
    if (!translator)
        return;
    code_memory_destroy(&translator->memory);
    if (translator->data.base != MAP_FAILED)
        munmap(translator->data.base, DATA_MEMORY);
    if ((void *)translator->sites != MAP_FAILED)
        munmap(translator->sites, SITES_MOST * sizeof(struct site));
    free(translator->families);
    free(translator);
}

/* The first time something is translated. */
static void translator_begin(struct translator *translator)
{
    if (translator->code_at)
        return;
    thunks_write(translator);
    translator->families = family_table_create();
}

static void everything_forgotten(struct cpu *cpu)
{
    struct translator *translator = cpu->translator;

    translator->code_at = translator->code_start;
    translator->data.used = 0;
    translator->sites_used = 1;
    translator->translations = NULL;
    translator->from = NULL;
    translator->dropped = true;
    memset(cpu->jumps, 0, sizeof(cpu->jumps));
}

/* There is no more room. The blocks stay. */
static void everything_dropped(struct cpu *cpu)
{
    for (struct translation *t = cpu->translator->translations; t; t = t->next) {
        if (t->dead)
            continue;
        t->block->translations = NULL;
        t->block->ops[0].run = op_counted;
    }
    for (unsigned i = 0; i < 1 << CODE_HASH_BITS; i++)
        for (struct block *block = cpu->code->hash[i]; block; block = block->hash_next)
            block->uses = NULL;
    everything_forgotten(cpu);
}

static bool has_room(const struct translator *translator)
{
    return translator->code_at + CODE_MARGIN < translator->memory.written + translator->memory.size &&
           translator->data.used + DATA_MARGIN < translator->data.size &&
           translator->sites_used + DETOURS_MOST < SITES_MOST;
}

void translator_all_dropped(struct cpu *cpu)
{
    if (cpu->translator && cpu->translator->code_at)
        everything_forgotten(cpu);
}

void translator_unlink(struct cpu *cpu)
{
    if (cpu->translator)
        cpu->translator->from = NULL;
}

/* ---- links ---- */

static struct jump *jump_slot(struct cpu *cpu, uint64_t rip)
{
    return &cpu->jumps[(uint32_t)((uint32_t)rip * JUMP_FACTOR) >> (32 - JUMPS_BITS)];
}

static void jump_remember(struct cpu *cpu, const struct translation *translation)
{
    const struct code_memory *memory = &cpu->translator->memory;

    *jump_slot(cpu, translation->rip) = (struct jump){
        .rip = translation->rip,
        .mode = translation->block->mode,
        .code = translation->checked - memory->written + memory->executed,
    };
}

static void link_make(struct translator *translator, struct site *site, struct translation *to)
{
    enum { JUMP = 0xe9 };

    if (site->rip != to->rip || (site->same_page && site->physical != to->block->physical))
        return;
    emit_patch(site->jump, site->same_page ? to->code : to->checked);
    if (site->early && site->same_page && to->flags_dead) {
        site->early[0] = JUMP;
        emit_patch(site->early + 1, to->code);
    }
    site->next = to->incoming;
    to->incoming = site - translator->sites;
}

static void links_undo(struct translator *translator, struct translation *translation)
{
    for (uint32_t number = translation->incoming; number;) {
        struct site *site = &translator->sites[number];

        emit_patch(site->jump, site->jump + 4);
        if (site->early)
            memcpy(site->early, exit_nothing, sizeof(exit_nothing));
        number = site->next;
    }
    translation->incoming = 0;
}

/* ---- dropping ---- */

static void translation_drop(struct cpu *cpu, struct translation *translation)
{
    struct block *block = translation->block;
    struct translation **at = &block->translations;
    struct jump *jump = jump_slot(cpu, translation->rip);

    if (translation->dead)
        return;
    translation->dead = true;
    cpu->translator->dropped = true;
    links_undo(cpu->translator, translation);
    if (jump->rip == translation->rip && jump->mode == block->mode)
        *jump = (struct jump){0};
    while (*at != translation)
        at = &(*at)->next_of_block;
    *at = translation->next_of_block;
    if (!block->translations) {
        block->ops[0].run = op_counted;
        block->runs = 0;
    }
}

void translator_block_dropped(struct cpu *cpu, struct block *block)
{
    for (struct use *use = block->uses; use; use = use->next)
        translation_drop(cpu, use->translation);
    block->uses = NULL;
}

/* ---- counting ---- */

static bool is_translatable(uint32_t mode)
{
    enum { FLAT_32 = MODE_CODE32 | MODE_STACK32 | MODE_FLAT_CODE };

    return (mode & MODE_FLAT) && !(mode & MODE_SINGLE) &&
           ((mode & MODE_CODE64) || (mode & FLAT_32) == FLAT_32);
}

void translator_block_kept(struct cpu *cpu, struct block *block)
{
    block->first = block->ops[0].run;
    if (cpu->translator && is_translatable(block->mode) && !block->crosses && block->count)
        block->ops[0].run = op_counted;
}

static struct translation *translation_make(struct cpu *cpu, struct block *block, uint64_t rip)
{
    translator_begin(cpu->translator);
    if (!has_room(cpu->translator))
        everything_dropped(cpu);
    return translate(cpu, block, rip);
}

const struct op *op_counted(struct cpu *cpu, const struct op *op)
{
    struct block *block = cpu->block;

    if (unlikely(++block->runs >= cpu->translator->after)) {
        if (translation_make(cpu, block, cpu->rip))
            return op_translated(cpu, op);
        block->ops[0].run = block->first;
    }
    return block->first(cpu, op);
}

/* ---- what C does for translated code ---- */

/* As if the interpreter had come to the operation. */
static void site_begin(struct cpu *cpu, const struct site *site)
{
    cpu->block = site->block;
    cpu->rip = site->rip;
    cpu->op = site->op;
    cpu->instructions += site->instructions;
    flags_settle(cpu);
}

static void site_end(struct cpu *cpu, const struct site *site)
{
    cpu->instructions -= site->instructions;
}

uint8_t *translated_access(struct cpu *cpu, uint64_t linear, uint32_t number)
{
    const struct site *site = &cpu->translator->sites[number];
    struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);
    uint8_t *host;
    uint64_t tag;

    if ((linear & ~PAGE_MASK) + site->size > PAGE_SIZE || (in_long_mode(cpu) && !canonical(linear)))
        return NULL;
    site_begin(cpu, site);
    paging_translate(cpu, linear, site->write ? ACCESS_WRITE : ACCESS_READ, is_user(cpu), &host);
    site_end(cpu, site);
    tag = site->write ? entry->write_tag : entry->read_tag;
    return host && tlb_hit(tag, linear, site->size) && !cpu->translator->dropped
               ? tlb_host(entry, tag, linear)
               : NULL;
}

const struct op *op_resume(struct cpu *cpu, const struct op *op)
{
    (void)cpu;
    return op;
}

bool translated_operation(struct cpu *cpu, uint32_t number)
{
    const struct site *site = &cpu->translator->sites[number];
    const struct op *op = site->op;

    site_begin(cpu, site);
    op = op->run(cpu, op);
    if (!op)
        return false;
    if (cpu->translator->dropped) {
        leave_at(cpu, op, (cpu->rip + op->offset) & cpu->linear_mask, 0);
        return false;
    }
    site_end(cpu, site);
    return true;
}

/* ---- in and out ---- */

static struct translation *translation_of(const struct block *block, uint64_t rip)
{
    struct translation *translation = block->translations;

    while (translation && translation->rip != rip)
        translation = translation->next_of_block;
    return translation;
}

/* The same code at another linear address, too: a library, most likely. */
static struct translation *translation_elsewhere(struct cpu *cpu, struct block *block)
{
    enum { EVERY = 64 };
    unsigned count = 0;

    for (struct translation *t = block->translations; t; t = t->next_of_block)
        count++;
    if (count == TRANSLATIONS_OF_BLOCK || ++block->runs % EVERY)
        return NULL;
    return translation_make(cpu, block, cpu->rip);
}

/* Where translated code goes on after it was left; NULL: nowhere that is translated. */
static struct translation *translation_next(struct cpu *cpu, uint64_t rip, uint32_t mode)
{
    const struct tlb_fetch *entry = fetch_slot(cpu->fetch, rip);
    struct block *block;

    if (entry->page != (rip & PAGE_MASK) || atomic_load_explicit(&cpu->attention, memory_order_relaxed))
        return NULL;
    block = code_at(cpu, entry->physical | (rip & ~PAGE_MASK), mode);
    return block ? translation_of(block, rip) : NULL;
}

static const struct op *site_leave(struct cpu *cpu, struct site *site)
{
    flags_settle(cpu);
    switch (site->kind) {
    case SITE_NOTHING: return NULL;
    case SITE_LINK:
    case SITE_RUN_LOOP:
        cpu->rip = site->rip;
        cpu->op = NULL;
        if (site->kind == SITE_LINK)
            cpu->translator->from = site;
        return NULL;
    default: site_begin(cpu, site); return site->op;
    }
}

const struct op *op_translated(struct cpu *cpu, const struct op *op)
{
    struct translator *translator = cpu->translator;
    struct block *block = cpu->block;
    struct translation *translation = translation_of(block, cpu->rip);
    uint32_t mode = block->mode;
    struct site *site;

    if (unlikely(!translation) && !(translation = translation_elsewhere(cpu, block)))
        return block->first(cpu, op);
    cpu->instructions -= block->count;
    do {
        if (translator->from)
            link_make(translator, translator->from, translation);
        translator->from = NULL;
        translator->dropped = false;
        jump_remember(cpu, translation);
        site = &translator->sites[translator->enter(cpu, translation->code - translator->memory.written +
                                                             translator->memory.executed)];
        op = site_leave(cpu, site);
    } while (site->kind == SITE_LINK && (translation = translation_next(cpu, site->rip, mode)));
    if (!op)
        return NULL;
    if (op == cpu->block->ops)
        return cpu->block->first(cpu, op);
    GO(op);
}
