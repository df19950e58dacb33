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

/* From no watcher to one: all CPUs lose their fast writes. Whoever fills its TLB later sees the count. */
void marks_watch(struct cpu *cpu, uint64_t page)
{
    struct soft *soft = cpu->soft;
    struct mark *mark = mark_at(&soft->marks, page);

    pthread_mutex_lock(&soft->marks.lock);
    if (atomic_fetch_add(&mark->watchers, 1) == 0)
        for (unsigned i = 0; i < soft->machine.cpus; i++)
            tlb_protect_page(soft->cpus[i], page);
    pthread_mutex_unlock(&soft->marks.lock);
}

void marks_release(struct cpu *cpu, uint64_t page)
{
    struct marks *marks = &cpu->soft->marks;
    struct mark *mark = mark_at(marks, page);

    pthread_mutex_lock(&marks->lock);
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
