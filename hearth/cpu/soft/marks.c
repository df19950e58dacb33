/*
 * The marks of pages that hold decoded code. The lock is held only where a page gains or loses a watcher.
 */
#include "cpu/soft/marks.h"

#include <stdlib.h>

#include "cpu/soft/soft.h"

bool marks_create(struct marks *marks)
{
    pthread_mutex_init(&marks->lock, NULL);
    marks->pages = calloc(MARKS_PAGES, sizeof(*marks->pages));
    return marks->pages;
}

void marks_destroy(struct marks *marks)
{
    free(marks->pages);
    pthread_mutex_destroy(&marks->lock);
}

static bool others_may_write(const struct cpu *cpu, uint64_t page)
{
    const struct soft *soft = cpu->soft;

    for (unsigned i = 0; i < soft->machine.cpus; i++)
        if (soft->cpus[i] != cpu && tlb_may_write(soft->cpus[i], page))
            return true;
    return false;
}

/* Others have fast tags: they stand outside while they lose them, since they may have read one and not have used it yet. */
static void watch_alone(struct cpu *cpu, uint64_t page)
{
    struct soft *soft = cpu->soft;

    gate_close(soft, cpu);
    pthread_mutex_lock(&soft->marks.lock);
    atomic_fetch_add(&mark_at(&soft->marks, page)->watchers, 1);
    for (unsigned i = 0; i < soft->machine.cpus; i++)
        tlb_protect_page(soft->cpus[i], page);
    pthread_mutex_unlock(&soft->marks.lock);
    gate_open(soft);
}

/* From no watcher to one no CPU keeps its fast writes. Whoever fills its TLB later sees the count. */
void marks_watch(struct cpu *cpu, uint64_t page)
{
    struct marks *marks = &cpu->soft->marks;
    struct mark *mark = mark_at(marks, page);
    bool alone = false;

    gate_lock(cpu, &marks->lock);
    if (atomic_fetch_add(&mark->watchers, 1) == 0) {
        tlb_protect_page(cpu, page);
        alone = others_may_write(cpu, page);
    }
    if (alone)
        atomic_fetch_sub(&mark->watchers, 1);
    pthread_mutex_unlock(&marks->lock);
    if (alone)
        watch_alone(cpu, page);
}

void marks_release(struct cpu *cpu, uint64_t page)
{
    struct marks *marks = &cpu->soft->marks;
    struct mark *mark = mark_at(marks, page);

    gate_lock(cpu, &marks->lock);
    if (atomic_fetch_sub(&mark->watchers, 1) == 1)
        atomic_store(&mark->lines, 0);
    pthread_mutex_unlock(&marks->lock);
}

void marks_add_lines(struct marks *marks, uint64_t page, uint64_t lines)
{
    struct mark *mark = mark_at(marks, page);

    if (lines & ~atomic_load_explicit(&mark->lines, memory_order_relaxed))
        atomic_fetch_or(&mark->lines, lines);
}
