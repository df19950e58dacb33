/*
 * The store of decoded blocks: finding, building, and dropping what was overwritten.
 *
 * What it leaves out: sharing between CPUs. Source for self-modifying code: SDM volume 3A, 8.1.3 and 11.6 (a store is seen by the
 * very next instruction of the same CPU, as on every Pentium and later); for fetches: volume 3A, 5.3 and 4.7.
 */
#include <stdlib.h>

#include "core/bus.h"
#include "core/log.h"
#include "cpu/disassemble.h"
#include "cpu/soft/dispatch.h"

bool code_create(struct code *code)
{
    code->marks = calloc(CODE_MARKED_PAGES, 1);
    code->arena = malloc(CODE_ARENA);
    pthread_mutex_init(&code->post_lock, NULL);
    code->room = malloc(sizeof(struct block) + (BLOCK_OPERATIONS + 1) * sizeof(struct op));
    return code->marks && code->arena && code->room;
}

void code_destroy(struct code *code)
{
    for (unsigned i = 0; i < CODE_PAGE_BUCKETS; i++) {
        for (struct code_page *page = code->pages[i], *next; page; page = next) {
            next = page->next;
            free(page);
        }
    }
    free((void *)code->marks);
    free(code->arena);
    free(code->room);
    pthread_mutex_destroy(&code->post_lock);
}

/* ---- pages ---- */

static struct code_page **page_slot(struct code *code, uint64_t physical)
{
    struct code_page **slot = &code->pages[(physical >> PAGE_SHIFT) % CODE_PAGE_BUCKETS];

    while (*slot && (*slot)->page != (physical & PAGE_MASK))
        slot = &(*slot)->next;
    return slot;
}

static bool page_marked(const struct code *code, uint64_t physical)
{
    uint64_t number = physical >> PAGE_SHIFT;

    return number >= CODE_MARKED_PAGES || atomic_load(&code->marks[number]);
}

static void page_mark(struct code *code, uint64_t physical, bool mark)
{
    uint64_t number = physical >> PAGE_SHIFT;

    if (number < CODE_MARKED_PAGES)
        atomic_store(&code->marks[number], mark);
}

/*
 * Marks the page before its bytes are read for decoding: a DMA that writes them later sees the mark, one that wrote
 * them earlier is seen by the decoder.
 */
static struct code_page *page_watch(struct cpu *cpu, uint64_t physical)
{
    struct code *code = &cpu->soft->code;
    struct code_page **slot = page_slot(code, physical), *page = *slot;

    if (page)
        return page;
    page = allocate(sizeof(*page));
    page->page = physical & PAGE_MASK;
    *slot = page;
    page_mark(code, physical, true);
    tlb_protect_page(cpu, page->page);
    return page;
}

static void page_release(struct code *code, struct code_page **slot)
{
    struct code_page *page = *slot;

    page_mark(code, page->page, false);
    *slot = page->next;
    free(page);
}

bool code_in_page(struct soft *soft, uint64_t physical)
{
    return page_marked(&soft->code, physical) && *page_slot(&soft->code, physical);
}

/* ---- blocks and their bytes ---- */

static unsigned first_part(const struct block *block)
{
    unsigned room = PAGE_SIZE - (block->physical & ~PAGE_MASK);

    return block->length < room ? block->length : room;
}

/* The bytes of the block in this page, as [from, to) from the page's start; false if none. */
static bool block_part(const struct block *block, uint64_t page, unsigned *from, unsigned *to)
{
    if ((block->physical & PAGE_MASK) == page) {
        *from = block->physical & ~PAGE_MASK;
        *to = *from + first_part(block);
        return true;
    }
    *from = 0;
    *to = block->length - first_part(block);
    return block->crosses && block->second_page == page;
}

static uint64_t lines_between(unsigned from, unsigned to)
{
    unsigned first = from >> CODE_LINE_SHIFT, last = (to - 1) >> CODE_LINE_SHIFT;

    return (~0ull << first) & (~0ull >> (63 - last));
}

static struct block **page_link(struct block *block, uint64_t page)
{
    return &block->page_next[(block->physical & PAGE_MASK) != page];
}

static void page_add_block(struct code_page *page, struct block *block)
{
    unsigned from, to;

    *page_link(block, page->page) = page->blocks;
    page->blocks = block;
    if (block_part(block, page->page, &from, &to) && to > from)
        page->lines |= lines_between(from, to);
}

static void page_remove_block(struct code *code, uint64_t address, const struct block *block)
{
    struct code_page **slot = page_slot(code, address);

    if (!*slot)
        return;
    for (struct block **at = &(*slot)->blocks; *at;) {
        struct block *other = *at;

        for (unsigned i = 0; i < BLOCK_LINKS; i++)
            if (other->link[i] == block)
                other->link[i] = NULL;
        if (other == block)
            *at = *page_link(other, (*slot)->page);
        else
            at = page_link(other, (*slot)->page);
    }
}

/* An operation of a block that was dropped: out, to find what stands there now. */
static const struct op *op_dropped(struct cpu *cpu, const struct op *op)
{
    return leave_at(cpu, op, (cpu->rip + op->offset) & cpu->linear_mask, 0);
}

static void block_drop(struct code *code, struct block *block)
{
    struct block **at = &code->hash[code_hash(block->physical, block->mode)];
    uint64_t pages[2] = {block->physical & PAGE_MASK, block->second_page};

    while (*at != block)
        at = &(*at)->hash_next;
    *at = block->hash_next;
    page_remove_block(code, pages[0], block);
    if (block->crosses)
        page_remove_block(code, pages[1], block);
    block->physical = UINT64_MAX;
    block->link[0] = block->link[1] = NULL;
    for (unsigned i = 0; i <= block->count; i++)
        block->ops[i].run = op_dropped;
    code->link_from = NULL;
}

static void drop_in_page(struct code *code, struct code_page **slot, unsigned from, unsigned to)
{
    struct code_page *page = *slot;

    for (struct block *block = page->blocks, *next; block; block = next) {
        unsigned first, end;

        next = *page_link(block, page->page);
        if (block_part(block, page->page, &first, &end) && first < to && from < end)
            block_drop(code, block);
    }
}

/* Only between blocks: a page without blocks is watched no longer. */
static void drop_range(struct code *code, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < CODE_PAGE_BUCKETS; i++) {
        for (struct code_page **slot = &code->pages[i]; *slot;) {
            struct code_page *page = *slot;

            if (page->page + PAGE_SIZE > base && page->page < base + size)
                drop_in_page(code, slot, base > page->page ? base - page->page : 0,
                             base + size < page->page + PAGE_SIZE ? base + size - page->page : PAGE_SIZE);
            if (!page->blocks)
                page_release(code, slot);
            else
                slot = &page->next;
        }
    }
}

void code_written(struct cpu *cpu, uint64_t physical, unsigned size)
{
    struct code *code = &cpu->soft->code;
    unsigned from = physical & ~PAGE_MASK, here = from + size <= PAGE_SIZE ? size : PAGE_SIZE - from;
    struct code_page **slot = page_slot(code, physical);

    if (*slot && ((*slot)->lines & lines_between(from, from + here))) {
        drop_in_page(code, slot, from, from + here);
        if (!(*slot)->blocks)
            page_release(code, slot);
    }
    if (here < size)
        code_written(cpu, physical + here, size - here);
}

void code_drop_all(struct code *code)
{
    for (unsigned i = 0; i < CODE_PAGE_BUCKETS; i++)
        while (code->pages[i])
            page_release(code, &code->pages[i]);
    memset(code->hash, 0, sizeof(code->hash));
    code->arena_used = 0;
    code->link_from = NULL;
}

/* ---- other threads ---- */

void code_post(struct soft *soft, uint64_t base, uint64_t size, bool map)
{
    struct code *code = &soft->code;
    bool wanted = map;

    if (size == 0)
        return;
    for (uint64_t page = base & PAGE_MASK; !wanted && page < base + size; page += PAGE_SIZE)
        wanted = page_marked(code, page);
    if (!wanted)
        return;
    pthread_mutex_lock(&code->post_lock);
    code->post_map |= map;
    if (code->posts == CODE_POSTS)
        code->post_all = true;
    else {
        code->post[code->posts].base = base;
        code->post[code->posts++].size = size;
    }
    pthread_mutex_unlock(&code->post_lock);
    for (unsigned i = 0; i < soft->machine.cpus; i++) {
        atomic_store(&soft->cpus[i]->code_stale, true);
        atomic_store(&soft->cpus[i]->attention, 1);
    }
}

void code_take_posts(struct cpu *cpu)
{
    struct code *code = &cpu->soft->code;

    if (!atomic_exchange(&cpu->code_stale, false))
        return;
    pthread_mutex_lock(&code->post_lock);
    if (code->post_map)
        tlb_flush(cpu, true);
    if (code->post_all)
        code_drop_all(code);
    for (unsigned i = 0; i < code->posts && !code->post_all; i++) {
        bool small = code->post[i].size <= PAGE_SIZE;

        if (small)
            code_written(cpu, code->post[i].base, code->post[i].size);
        else
            drop_range(code, code->post[i].base, code->post[i].size);
    }
    code->posts = 0;
    code->post_all = code->post_map = false;
    pthread_mutex_unlock(&code->post_lock);
}

/* ---- building ---- */

struct fetch {
    uint64_t physical;
    const uint8_t *host; /* NULL: not memory */
    unsigned size;       /* bytes up to the end of page or segment */
    bool limited;        /* the segment ends first */
};

static void fetch_translate(struct cpu *cpu, uint64_t rip, struct fetch *fetch)
{
    uint64_t linear = (cpu->window[SEG_CS].base + rip) & cpu->linear_mask;
    uint8_t *host;

    if (rip >= cpu->code_end) {
        fault_because(cpu, "instruction fetch at 0x%llx, outside CS's limit 0x%x", (unsigned long long)rip,
                      cpu->segment[SEG_CS].limit);
        fault_error(cpu, VECTOR_GP, 0);
    }
    fetch->physical = paging_translate(cpu, linear, ACCESS_EXECUTE, is_user(cpu), &host);
    fetch->host = host;
    fetch->size = PAGE_SIZE - (linear & ~PAGE_MASK);
    fetch->limited = cpu->code_end - rip < fetch->size;
    if (fetch->limited)
        fetch->size = cpu->code_end - rip;
}

static void fetch_copy(struct cpu *cpu, const struct fetch *fetch, uint8_t *to, unsigned size)
{
    if (fetch->host) {
        memcpy(to, fetch->host, size);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        to[i] = bus_read(cpu->soft->machine.mmio, fetch->physical + i, 1);
}

/* An instruction that runs over the end of its page: a block of its own, from both pages. */
static bool decode_crossing(struct cpu *cpu, struct block *block, const struct fetch *first)
{
    uint8_t bytes[2 * INSTRUCTION_BYTES];
    unsigned size = first->size < INSTRUCTION_BYTES ? first->size : INSTRUCTION_BYTES;
    struct fetch second;
    unsigned more;

    fetch_translate(cpu, (cpu->rip + first->size) & cpu->linear_mask, &second);
    page_watch(cpu, second.physical);
    fetch_copy(cpu, first, bytes, size);
    more = second.size < INSTRUCTION_BYTES ? second.size : INSTRUCTION_BYTES;
    fetch_copy(cpu, &second, bytes + size, more);
    block->mode |= MODE_SINGLE;
    if (!decode_block(block, bytes, size + more)) {
        fault_because(cpu, "instruction runs over CS's limit 0x%x", cpu->segment[SEG_CS].limit);
        fault_error(cpu, VECTOR_GP, 0);
    }
    block->mode &= ~MODE_SINGLE;
    block->crosses = block->length > size;
    block->second_page = second.physical & PAGE_MASK;
    return second.host != NULL;
}

/* Decodes at cpu->rip into the room; true if what came out may be kept. */
static bool block_build(struct cpu *cpu, struct block *block, uint32_t mode)
{
    uint8_t bytes[INSTRUCTION_BYTES];
    struct fetch fetch;
    bool keep;

    fetch_translate(cpu, cpu->rip, &fetch);
    *block = (struct block){.physical = fetch.physical, .mode = mode};
    keep = fetch.host != NULL && !fetch.limited;
    if (keep)
        page_watch(cpu, fetch.physical);
    if (!fetch.host) {
        fetch.size = fetch.size < INSTRUCTION_BYTES ? fetch.size : INSTRUCTION_BYTES;
        block->mode |= MODE_SINGLE;
        fetch_copy(cpu, &fetch, bytes, fetch.size);
    }
    if (!decode_block(block, fetch.host ? fetch.host : bytes, fetch.size))
        keep &= decode_crossing(cpu, block, &fetch);
    block->mode = mode;
    return keep;
}

/* `-d in_asm`: a block as it was decoded. Bytes that cannot be read any more are not shown. */
static cold void block_log(struct cpu *cpu, const struct block *block)
{
    uint64_t length;
    bool writable;
    const uint8_t *bytes = memory_at(cpu->machine->memory, block->physical, &length, &writable);

    for (unsigned i = 0; bytes && i < block->count && block->ops[i].offset < length; i++) {
        uint64_t rip = cpu->rip + block->ops[i].offset;
        char text[96];

        disassemble(bytes + block->ops[i].offset, length - block->ops[i].offset,
                    block->mode & MODE_CODE64   ? 64
                    : block->mode & MODE_CODE32 ? 32
                                                : 16,
                    rip, text, sizeof(text));
        log_guest(LOG_IN_ASM, "%04x:%08llx  %s", cpu->segment[SEG_CS].selector, (unsigned long long)rip,
                  text);
    }
}

static struct block *block_keep(struct cpu *cpu, const struct block *built)
{
    struct code *code = &cpu->soft->code;
    size_t size = sizeof(*built) + (built->count + 1) * sizeof(struct op);
    struct block **head = &code->hash[code_hash(built->physical, built->mode)];
    struct block *block;

    if (code->arena_used + size > CODE_ARENA)
        code_drop_all(code);
    block = (struct block *)(code->arena + code->arena_used);
    code->arena_used += size;
    memcpy(block, built, size);
    block->hash_next = *head;
    *head = block;
    page_add_block(page_watch(cpu, block->physical), block);
    if (block->crosses)
        page_add_block(page_watch(cpu, block->second_page), block);
    return block;
}

static struct block *block_look(struct cpu *cpu, uint32_t mode)
{
    uint64_t linear = (cpu->window[SEG_CS].base + cpu->rip) & cpu->linear_mask;
    const struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);
    uint64_t physical = entry->physical | (linear & ~PAGE_MASK);
    struct block *block;

    if (entry->execute_tag != tlb_tag(cpu, linear, 1))
        return NULL;
    block = cpu->soft->code.hash[code_hash(physical, mode)];
    while (block && (block->physical != physical || block->mode != mode))
        block = block->hash_next;
    return block;
}

/* The second page of a crossing instruction may be mapped elsewhere now. */
static bool second_page_stands(struct cpu *cpu, const struct block *block)
{
    struct fetch second;

    if (!block->crosses)
        return true;
    fetch_translate(cpu, (cpu->rip + first_part(block)) & cpu->linear_mask, &second);
    return (second.physical & PAGE_MASK) == block->second_page;
}

struct block *code_find(struct cpu *cpu, bool single)
{
    struct code *code = &cpu->soft->code;
    uint32_t mode = cpu->mode | (single ? MODE_SINGLE : 0);
    struct block **from = code->link_from;
    struct block *block = block_look(cpu, mode);
    bool keep;

    code->link_from = NULL;
    if (!block) {
        uint64_t linear = (cpu->window[SEG_CS].base + cpu->rip) & cpu->linear_mask;
        uint8_t *host;

        /* A miss in the TLB alone: fill it and look again. */
        if (cpu->rip < cpu->code_end) {
            paging_translate(cpu, linear, ACCESS_EXECUTE, is_user(cpu), &host);
            block = block_look(cpu, mode);
        }
    }
    if (block && cpu->rip + block->length <= cpu->code_end && second_page_stands(cpu, block)) {
        if (from && !block->crosses)
            *from = block;
        return block;
    }
    if (block)
        block_drop(code, block);
    keep = block_build(cpu, code->room, mode);
    if (log_wanted(LOG_IN_ASM))
        block_log(cpu, code->room);
    if (!keep) {
        code->room->physical = UINT64_MAX;
        return code->room;
    }
    return block_keep(cpu, code->room);
}

/* ---- leaving a block ---- */

const struct op *leave(struct cpu *cpu, const struct op *op)
{
    return leave_at(cpu, op, next_rip(cpu, op), 1);
}

const struct op *leave_changed(struct cpu *cpu, const struct op *op)
{
    segments_changed(cpu);
    atomic_store_explicit(&cpu->attention, 1, memory_order_relaxed);
    return leave_at(cpu, op, cpu->rip, 1);
}

void branch_outside(struct cpu *cpu, const struct op *op, uint64_t rip)
{
    MAY_FAULT;
    if (in_64bit_code(cpu))
        fault_because(cpu, "branch to 0x%llx, which is not canonical", (unsigned long long)rip);
    else
        fault_because(cpu, "branch to 0x%llx, outside CS's limit 0x%x", (unsigned long long)rip,
                      cpu->segment[SEG_CS].limit);
    fault_error(cpu, VECTOR_GP, 0);
}

const struct op *leave_branch(struct cpu *cpu, const struct op *op, enum block_link link, uint64_t rip)
{
    if (link != LINK_FALL && (rip >= cpu->code_end || !canonical(rip)))
        branch_outside(cpu, op, rip);
    if (link != LINK_NONE && cpu->block->physical != UINT64_MAX && !(cpu->block->mode & MODE_SINGLE))
        cpu->soft->code.link_from = &cpu->block->link[link];
    return leave_at(cpu, op, rip, 1);
}
