/*
 * Pages of L2 tables and refcount blocks in memory, and the order in which they go to the file. Few enough that a search
 * through all of them costs less than what it saves.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/qcow2.h"

static struct qcow2_page *find(struct qcow2 *qcow2, uint64_t offset)
{
    struct qcow2_page *last = qcow2->last_page;
    if (last && last->offset == offset) /* searches go through neighbouring entries */
        return last;
    for (unsigned i = 0; i < QCOW2_PAGES; i++)
        if (qcow2->pages[i].offset == offset)
            return &qcow2->pages[i];
    return NULL;
}

static struct qcow2_page *oldest(struct qcow2 *qcow2)
{
    struct qcow2_page *found = &qcow2->pages[0];
    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        if (!qcow2->pages[i].offset)
            return &qcow2->pages[i];
        if (qcow2->pages[i].used < found->used)
            found = &qcow2->pages[i];
    }
    return found;
}

static int load(struct qcow2 *qcow2, struct qcow2_page *page, enum page_kind kind, uint64_t offset)
{
    if (!page->words && !(page->words = malloc(qcow2->page_size)))
        return -ENOMEM;
    page->offset = 0;
    int result = qcow2_file_read(qcow2, offset, page->words, qcow2->page_size);
    if (result)
        return result;
    page->offset = offset;
    page->kind = kind;
    return 0;
}

int qcow2_page_get(struct qcow2 *qcow2, enum page_kind kind, uint64_t offset, struct qcow2_page **page)
{
    int result = 0;
    offset -= offset % qcow2->page_size;
    if (!offset)
        return -EIO; /* the header is no table */
    *page = find(qcow2, offset);
    if (!*page) {
        *page = oldest(qcow2);
        if ((*page)->offset && (*page)->dirty)
            result = qcow2_tables_write(qcow2);
        if (!result)
            result = load(qcow2, *page, kind, offset);
    } else if ((*page)->kind != kind) {
        return -EIO; /* a cluster that is two things at once */
    }
    (*page)->used = ++qcow2->page_clock;
    qcow2->last_page = *page;
    return result;
}

void qcow2_pages_forget(struct qcow2 *qcow2, uint64_t offset, uint64_t size)
{
    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        struct qcow2_page *page = &qcow2->pages[i];
        if (page->offset >= offset && page->offset - offset < size)
            page->offset = 0, page->dirty = false;
    }
}

static int pages_write(struct qcow2 *qcow2, enum page_kind kind, bool *any)
{
    for (unsigned i = 0; i < QCOW2_PAGES; i++) {
        struct qcow2_page *page = &qcow2->pages[i];
        if (!page->offset || !page->dirty || page->kind != kind)
            continue;
        int result = qcow2_file_write(qcow2, page->offset, page->words, qcow2->page_size);
        if (result)
            return result;
        page->dirty = false;
        *any = true;
    }
    return 0;
}

static bool any_dirty(const struct qcow2 *qcow2, enum page_kind kind)
{
    for (unsigned i = 0; i < QCOW2_PAGES; i++)
        if (qcow2->pages[i].offset && qcow2->pages[i].dirty && qcow2->pages[i].kind == kind)
            return true;
    return false;
}

/* What the next step depends on is safe. */
static int barrier(struct qcow2 *qcow2)
{
    if (!qcow2->unsynced)
        return 0;
    int result = qcow2_file_sync(qcow2);
    qcow2->unsynced = result != 0;
    return result;
}

static int l1_write(struct qcow2 *qcow2)
{
    uint32_t from = qcow2->l1_dirty_from, count = qcow2->l1_dirty_to - from;
    uint64_t *entries = malloc(count * sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = htobe64(qcow2->l1[from + i]);
    int result = qcow2_file_write(qcow2, qcow2->l1_offset + from * sizeof(*entries), entries,
                                  count * sizeof(*entries));
    free(entries);
    if (!result)
        qcow2->l1_dirty_from = qcow2->l1_dirty_to = 0;
    return result;
}

int qcow2_tables_write(struct qcow2 *qcow2)
{
    int result = pages_write(qcow2, PAGE_REFCOUNTS, &qcow2->unsynced);
    if (!result && any_dirty(qcow2, PAGE_L2))
        result = barrier(qcow2);
    if (!result)
        result = pages_write(qcow2, PAGE_L2, &qcow2->unsynced);
    if (result || qcow2->l1_dirty_from == qcow2->l1_dirty_to)
        return result;
    result = barrier(qcow2);
    if (!result)
        result = l1_write(qcow2);
    qcow2->unsynced = true;
    return result;
}

void qcow2_pages_free(struct qcow2 *qcow2)
{
    for (unsigned i = 0; i < QCOW2_PAGES; i++)
        free(qcow2->pages[i].words);
}
