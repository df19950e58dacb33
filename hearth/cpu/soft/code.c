/*
 * The store of decoded blocks: finding, building, and dropping what was overwritten.
 *
 * Source for self-modifying code: SDM volume 3A, 8.1.3 and 11.6 (a store is seen by the
 * very next instruction of the same CPU, as on every Pentium and later); for fetches: volume 3A, 5.3 and 4.7.
 */
#include <stdlib.h>

#include "core/log.h"
#include "cpu/disassemble.h"
#include "cpu/soft/device.h"
#include "cpu/soft/dispatch.h"
#include "cpu/soft/translate.h"

struct code *code_create(unsigned cpus)
{
    struct code *code = calloc(1, sizeof(*code));
    size_t share = CODE_ARENAS_MOST / cpus;

    if (!code)
        return NULL;
    pthread_mutex_init(&code->post_lock, NULL);
    code->arena_size = share > CODE_ARENA ? CODE_ARENA : share < CODE_ARENA_LEAST ? CODE_ARENA_LEAST : share;
    code->arena = malloc(code->arena_size);
    code->room = malloc(sizeof(struct block) + (BLOCK_OPERATIONS + 2) * sizeof(struct op));
    if (code->arena && code->room)
        return code;
    code_destroy(code);
    return NULL;
}

void code_destroy(struct code *code)
{
    if (!code)
        return;
    for (unsigned i = 0; i < CODE_PAGE_BUCKETS; i++) {
        for (struct code_page *page = code->pages[i], *next; page; page = next) {
            next = page->next;
            free(page);
        }
    }
    free(code->arena);
    free(code->room);
    pthread_mutex_destroy(&code->post_lock);
    free(code);
}

/* ---- pages ---- */

static struct code_page **page_slot(struct code *code, uint64_t physical)
{
    struct code_page **slot = &code->pages[(physical >> PAGE_SHIFT) % CODE_PAGE_BUCKETS];

    while (*slot && (*slot)->page != (physical & PAGE_MASK))
        slot = &(*slot)->next;
    return slot;
}

/*
 * Marks the page before its bytes are read for decoding: a DMA that writes them later sees the mark, one that wrote
 * them earlier is seen by the decoder.
 */
static struct code_page *page_watch(struct cpu *cpu, uint64_t physical)
{
    struct code_page **slot = page_slot(cpu->code, physical), *page = *slot;

    if (page)
        return page;
    page = allocate(sizeof(*page));
    page->page = physical & PAGE_MASK;
    *slot = page;
    marks_watch(cpu, page->page);
    return page;
}

static void page_release(struct cpu *cpu, struct code_page **slot)
{
    struct code_page *page = *slot;

    marks_release(cpu, page->page);
    *slot = page->next;
    free(page);
}

bool code_in_page(const struct soft *soft, uint64_t physical)
{
    return atomic_load(&mark_at(&soft->marks, physical)->watchers) != 0;
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

static struct block **page_link(struct block *block, uint64_t page)
{
    return &block->page_next[(block->physical & PAGE_MASK) != page];
}

static void page_add_block(struct cpu *cpu, struct code_page *page, struct block *block)
{
    unsigned from, to;

    *page_link(block, page->page) = page->blocks;
    page->blocks = block;
    if (!block_part(block, page->page, &from, &to) || to <= from)
        return;
    page->lines |= mark_lines(from, to);
    marks_add_lines(&cpu->soft->marks, page->page, mark_lines(from, to));
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

static void block_drop(struct cpu *cpu, struct block *block)
{
    struct code *code = cpu->code;
    struct block **at = &code->hash[code_hash(block->physical, block->mode)];
    uint64_t pages[2] = {block->physical & PAGE_MASK, block->second_page};

    translator_block_dropped(cpu, block);
    while (*at != block)
        at = &(*at)->hash_next;
    *at = block->hash_next;
    page_remove_block(code, pages[0], block);
    if (block->crosses)
        page_remove_block(code, pages[1], block);
    block->physical = UINT64_MAX;
    block->link[0] = block->link[1] = NULL;
    for (unsigned i = 0; i <= block->lead + block->count; i++)
        block->ops[i].run = op_dropped;
    code->link_from = NULL;
}

static void drop_in_page(struct cpu *cpu, struct code_page **slot, unsigned from, unsigned to)
{
    struct code_page *page = *slot;

    for (struct block *block = page->blocks, *next; block; block = next) {
        unsigned first, end;

        next = *page_link(block, page->page);
        if (block_part(block, page->page, &first, &end) && first < to && from < end)
            block_drop(cpu, block);
    }
}

/* Only between blocks: a page without blocks is watched no longer. */
static void drop_range(struct cpu *cpu, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < CODE_PAGE_BUCKETS; i++) {
        for (struct code_page **slot = &cpu->code->pages[i]; *slot;) {
            struct code_page *page = *slot;

            if (page->page + PAGE_SIZE > base && page->page < base + size)
                drop_in_page(cpu, slot, base > page->page ? base - page->page : 0,
                             base + size < page->page + PAGE_SIZE ? base + size - page->page : PAGE_SIZE);
            if (!page->blocks)
                page_release(cpu, slot);
            else
                slot = &page->next;
        }
    }
}

/* Bytes within a page, by whomever: the blocks of this CPU that they belong to. */
static void drop_own(struct cpu *cpu, uint64_t physical, unsigned size)
{
    struct code_page **slot = page_slot(cpu->code, physical);
    unsigned from = physical & ~PAGE_MASK;

    if (!*slot || !((*slot)->lines & mark_lines(from, from + size)))
        return;
    drop_in_page(cpu, slot, from, from + size);
    if (!(*slot)->blocks)
        page_release(cpu, slot);
}

static void post_others(struct cpu *cpu, uint64_t base, uint64_t size);

void code_written(struct cpu *cpu, uint64_t physical, unsigned size)
{
    unsigned from = physical & ~PAGE_MASK, here = from + size <= PAGE_SIZE ? size : PAGE_SIZE - from;

    drop_own(cpu, physical, here);
    if (atomic_load(&mark_at(&cpu->soft->marks, physical)->lines) & mark_lines(from, from + here))
        post_others(cpu, physical, here);
    if (here < size)
        code_written(cpu, physical + here, size - here);
}

/* The bytes are there before the mark is looked at: whoever decodes does it the other way round. */
void code_check_write(struct cpu *cpu, uint64_t physical, unsigned size)
{
    if (cpu->soft->parallel)
        atomic_thread_fence(memory_order_seq_cst);
    if (code_in_page(cpu->soft, physical))
        code_written(cpu, physical, size);
}

void code_drop_all(struct cpu *cpu)
{
    struct code *code = cpu->code;

    for (unsigned i = 0; i < CODE_PAGE_BUCKETS; i++)
        while (code->pages[i])
            page_release(cpu, &code->pages[i]);
    memset(code->hash, 0, sizeof(code->hash));
    code->arena_used = 0;
    code->link_from = NULL;
    translator_all_dropped(cpu);
}

/* ---- other threads ---- */

/* A CPU that sleeps is woken only if it is about to lose count. */
static void post(struct cpu *cpu, uint64_t base, uint64_t size, bool map)
{
    struct code_posts *posts = &cpu->code->posts;
    bool many;

    pthread_mutex_lock(&cpu->code->post_lock);
    posts->map |= map;
    if (posts->count == CODE_POSTS)
        posts->all = true;
    else
        posts->range[posts->count++] = (struct code_range){base, size};
    many = posts->count >= CODE_POSTS / 2;
    pthread_mutex_unlock(&cpu->code->post_lock);
    atomic_store(&cpu->code_stale, true);
    if (many)
        cpu_wake(cpu);
    else
        atomic_store(&cpu->attention, 1);
}

static void post_others(struct cpu *cpu, uint64_t base, uint64_t size)
{
    struct soft *soft = cpu->soft;

    for (unsigned i = 0; i < soft->machine.cpus; i++)
        if (soft->cpus[i] != cpu)
            post(soft->cpus[i], base, size, false);
}

void code_post(struct soft *soft, uint64_t base, uint64_t size, bool map)
{
    bool wanted = map;

    if (size == 0)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t page = base & PAGE_MASK; !wanted && page < base + size; page += PAGE_SIZE)
        wanted = code_in_page(soft, page);
    for (unsigned i = 0; wanted && i < soft->machine.cpus; i++)
        post(soft->cpus[i], base, size, map);
}

static void post_take(struct cpu *cpu, uint64_t base, uint64_t size)
{
    uint64_t here = PAGE_SIZE - (base & ~PAGE_MASK);

    if (size > PAGE_SIZE) {
        drop_range(cpu, base, size);
        return;
    }
    drop_own(cpu, base, size < here ? size : here);
    if (size > here)
        drop_own(cpu, base + here, size - here);
}

void code_take_posts(struct cpu *cpu)
{
    struct code *code = cpu->code;
    struct code_posts posts;

    if (!atomic_exchange(&cpu->code_stale, false))
        return;
    pthread_mutex_lock(&code->post_lock);
    posts = code->posts;
    code->posts = (struct code_posts){0};
    pthread_mutex_unlock(&code->post_lock);
    if (posts.map)
        tlb_flush(cpu, true);
    if (posts.all)
        code_drop_all(cpu);
    for (unsigned i = 0; i < posts.count && !posts.all; i++)
        post_take(cpu, posts.range[i].base, posts.range[i].size);
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
        to[i] = device_read(cpu, cpu->machine->mmio, fetch->physical + i, 1);
}

/* An instruction that runs over the end of its page: a block of its own, from both pages. */
static bool decode_crossing(struct cpu *cpu, struct block *block, const struct fetch *first)
{
    uint8_t *bytes = cpu->code->bytes;
    unsigned size = first->size < INSTRUCTION_BYTES ? first->size : INSTRUCTION_BYTES;
    struct fetch second;
    unsigned more;

    fetch_translate(cpu, (cpu->rip + first->size) & cpu->linear_mask, &second);
    page_watch(cpu, second.physical);
    fetch_copy(cpu, first, bytes, size);
    more = second.size < INSTRUCTION_BYTES ? second.size : INSTRUCTION_BYTES;
    fetch_copy(cpu, &second, bytes + size, more);
    block->mode |= MODE_SINGLE;
    if (!decode_block(&cpu->soft->cpuid.model.features, block, bytes, size + more)) {
        fault_because(cpu, "instruction runs over CS's limit 0x%x", cpu->segment[SEG_CS].limit);
        fault_error(cpu, VECTOR_GP, 0);
    }
    block->mode &= ~MODE_SINGLE;
    block->crosses = block->length > size;
    block->second_page = second.physical & PAGE_MASK;
    return second.host != NULL;
}

/* Decodes at cpu->rip into the room, out of a copy that nobody changes; true if what came out may be kept. */
static bool block_build(struct cpu *cpu, struct block *block, uint32_t mode)
{
    struct fetch fetch;
    unsigned most;
    bool keep;

    fetch_translate(cpu, cpu->rip, &fetch);
    *block = (struct block){.physical = fetch.physical, .mode = mode};
    keep = fetch.host != NULL && !fetch.limited;
    if (keep)
        page_watch(cpu, fetch.physical);
    most = fetch.host ? BLOCK_BYTES : INSTRUCTION_BYTES;
    fetch.size = fetch.size < most ? fetch.size : most;
    if (!fetch.host)
        block->mode |= MODE_SINGLE;
    fetch_copy(cpu, &fetch, cpu->code->bytes, fetch.size);
    if (!decode_block(&cpu->soft->cpuid.model.features, block, cpu->code->bytes, fetch.size))
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

    const struct op *ops = block->ops + block->lead;

    for (unsigned i = 0; bytes && i < block->count && ops[i].offset < length; i++) {
        uint64_t rip = cpu->rip + ops[i].offset;
        char text[96];

        disassemble(bytes + ops[i].offset, length - ops[i].offset,
                    block->mode & MODE_CODE64   ? 64
                    : block->mode & MODE_CODE32 ? 32
                                                : 16,
                    rip, text, sizeof(text));
        log_guest(LOG_IN_ASM, "%04x:%08llx  %s", cpu->segment[SEG_CS].selector, (unsigned long long)rip,
                  text);
    }
}

/* Are these still the bytes that it was decoded from? Nobody tells of a write that came before the lines were marked. */
static bool bytes_stand(const struct cpu *cpu, const struct block *block)
{
    unsigned first = first_part(block);
    uint64_t length;
    bool writable;
    const uint8_t *bytes = memory_at(cpu->machine->memory, block->physical, &length, &writable);

    if (!bytes || memcmp(bytes, cpu->code->bytes, first) != 0)
        return false;
    if (!block->crosses)
        return true;
    bytes = memory_at(cpu->machine->memory, block->second_page, &length, &writable);
    return bytes && memcmp(bytes, cpu->code->bytes + first, block->length - first) == 0;
}

static struct block *block_keep(struct cpu *cpu, const struct block *built)
{
    struct code *code = cpu->code;
    size_t size = sizeof(*built) + (built->lead + built->count + 1) * sizeof(struct op);
    struct block **head = &code->hash[code_hash(built->physical, built->mode)];
    struct block *block;

    if (code->arena_used + size > code->arena_size)
        code_drop_all(cpu);
    block = (struct block *)(code->arena + code->arena_used);
    code->arena_used += size;
    memcpy(block, built, size);
    block->hash_next = *head;
    *head = block;
    page_add_block(cpu, page_watch(cpu, block->physical), block);
    if (block->crosses)
        page_add_block(cpu, page_watch(cpu, block->second_page), block);
    translator_block_kept(cpu, block);
    return block;
}

struct block *code_at(const struct cpu *cpu, uint64_t physical, uint32_t mode)
{
    struct block *block = cpu->code->hash[code_hash(physical, mode)];

    while (block && (block->physical != physical || block->mode != mode))
        block = block->hash_next;
    return block;
}

static struct block *block_look(struct cpu *cpu, uint32_t mode)
{
    uint64_t linear = (cpu->window[SEG_CS].base + cpu->rip) & cpu->linear_mask;
    const struct tlb_fetch *entry = fetch_slot(cpu->fetch, linear);

    return entry->page == (linear & PAGE_MASK) ? code_at(cpu, entry->physical | (linear & ~PAGE_MASK), mode)
                                               : NULL;
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
    struct code *code = cpu->code;
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
        block_drop(cpu, block);
    keep = block_build(cpu, code->room, mode);
    if (log_wanted(LOG_IN_ASM))
        block_log(cpu, code->room);
    if (keep) {
        block = block_keep(cpu, code->room);
        if (!cpu->soft->parallel || bytes_stand(cpu, block))
            return block;
        block_drop(cpu, block);
    }
    code->room->physical = UINT64_MAX;
    return code->room;
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
        cpu->code->link_from = &cpu->block->link[link];
    return leave_at(cpu, op, rip, 1);
}
