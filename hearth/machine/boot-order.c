#include "machine/boot-order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "machine/pc-parts.h"

#define NO_INDEX UINT32_MAX

struct boot_device {
    uint32_t index; /* bootindex=, or NO_INDEX */
    char letter;
    char *path;
    struct boot_device *next;
};

bool boot_order_add(struct pc *pc, struct settings *settings, char letter, const char *path)
{
    uint64_t index = settings ? settings_number(settings, "bootindex", NO_INDEX, INT32_MAX) : NO_INDEX;
    struct boot_device **at = &pc->boot_devices, *device;

    for (; *at; at = &(*at)->next)
        if (index != NO_INDEX && (*at)->index == index)
            settings_refuse(settings, "The bootindex %u has already been used", (unsigned)index);
    if (settings && settings_refused(settings))
        return false;
    device = allocate(sizeof(*device));
    *device = (struct boot_device){(uint32_t)index, letter, strdup(path), NULL};
    *at = device;
    return true;
}

/* The one with the lowest index from `from` on. */
static const struct boot_device *next_indexed(const struct boot_device *list, uint32_t from)
{
    const struct boot_device *found = NULL;
    for (; list; list = list->next)
        if (list->index != NO_INDEX && list->index >= from && (!found || list->index < found->index))
            found = list;
    return found;
}

void boot_order_remove(struct pc *pc, const char *path)
{
    for (struct boot_device **at = &pc->boot_devices; *at; at = &(*at)->next) {
        struct boot_device *device = *at;
        if (strcmp(device->path, path))
            continue;
        *at = device->next;
        free(device->path);
        free(device);
        return;
    }
}

char *boot_order_text(const struct pc *pc, const char *letters)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        die("out of memory");
    for (const struct boot_device *at = next_indexed(pc->boot_devices, 0); at;
         at = next_indexed(pc->boot_devices, at->index + 1))
        fprintf(out, "%s\n", at->path);
    for (; *letters; letters++)
        for (const struct boot_device *at = pc->boot_devices; at; at = at->next)
            if (at->letter == *letters && at->index == NO_INDEX)
                fprintf(out, "%s\n", at->path);
    fclose(out);
    return text;
}

void boot_order_destroy(struct pc *pc)
{
    for (struct boot_device *at = pc->boot_devices, *next; at; at = next) {
        next = at->next;
        free(at->path);
        free(at);
    }
}
