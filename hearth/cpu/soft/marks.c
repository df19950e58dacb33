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

/*
 * From no watcher to one: all CPUs lose their fast writes. Whoever fills its TLB later sees the count; one that had a
 * tag may have compared it and not have written yet.
 */
static void withdraw(struct cpu *cpu, uint64_t page)
{
    struct soft *soft = cpu->soft;

    tlb_protect_page(cpu, page);
    gate_leave(cpu);
    for (unsigned i = 0; i < soft->machine.cpus; i++)
        if (soft->cpus[i] != cpu && tlb_protect_page(soft->cpus[i], page))
            gate_await(soft->cpus[i]);
}

void marks_watch(struct cpu *cpu, uint64_t page)
{
    struct marks *marks = &cpu->soft->marks;
    bool first;

    gate_lock(cpu, &marks->lock);
    first = atomic_fetch_add(&mark_at(marks, page)->watchers, 1) == 0;
    if (first)
        withdraw(cpu, page);
    pthread_mutex_unlock(&marks->lock);
    if (first)
        gate_enter(cpu);
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
