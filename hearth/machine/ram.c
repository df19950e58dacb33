#include "machine/ram.h"

#include <string.h>

#include "core/backing.h"
#include "core/log.h"
#include "core/settings.h"

static void settings_done(struct settings *settings)
{
    const char *error = settings_error(settings);
    if (error)
        die("%s", error);
}

/* -object memory-backend-ram|file|memfd,id=,size=,... */
static void object_read(struct settings *object, uint64_t ram_size, struct backing *backing)
{
    const char *kind = settings_text(object, "qom-type", "");
    uint64_t size = settings_size(object, "size", 1, 0);

    settings_text(object, "id", NULL);
    backing->share = settings_switch(object, "share", !strcmp(kind, "memory-backend-memfd"));
    backing->prealloc = settings_switch(object, "prealloc", false);
    if (!strcmp(kind, "memory-backend-file")) {
        backing->path = settings_text(object, "mem-path", NULL);
        if (!backing->path)
            settings_refuse(object, "mem-path property not set");
    } else if (!strcmp(kind, "memory-backend-memfd")) {
        backing->memfd = true;
        backing->hugetlb = settings_switch(object, "hugetlb", false);
        backing->page_size = settings_size(object, "hugetlbsize", 1, 0);
        if (backing->page_size & (backing->page_size - 1))
            settings_refuse(object, "Parameter 'hugetlbsize' expects a power of two");
        else if (backing->page_size && !backing->hugetlb)
            settings_refuse(object, "hugetlbsize is of use with hugetlb=on alone");
    } else if (!strcmp(kind, "memory-backend-ram")) {
        backing->memfd = backing->share; /* whom it could be shared with sees a descriptor */
    } else {
        settings_refuse(object, "invalid object type: %s; there are memory-backend-ram, -file and -memfd",
                        kind);
    }
    if (!settings_error(object) && size != ram_size)
        settings_refuse(object, "Memory backend's size is %llu bytes, but -m asks for %llu",
                        (unsigned long long)size, (unsigned long long)ram_size);
    settings_done(object);
}

struct memory *ram_create(const struct machine_config *config)
{
    struct backing backing = {.path = config->mem_path, .prealloc = config->mem_prealloc};
    struct settings *object = NULL;
    struct memory *memory;
    char error[512];

    if (config->memory_backend) {
        object = settings_find(config->objects, config->memory_backend);
        if (!object)
            die("-machine memory-backend=%s: no -object has this id", config->memory_backend);
        if (config->mem_path)
            die("'-mem-path' can't be used together with '-machine memory-backend'");
        object_read(object, config->ram_size, &backing);
        backing.prealloc = backing.prealloc || config->mem_prealloc;
    }
    for (struct settings *at = config->objects; at; at = settings_next(at))
        if (at != object)
            die("-object %s: nothing uses it; -machine memory-backend=ID does",
                settings_text(at, "qom-type", "?"));
    memory = memory_create_on(&backing, config->ram_size, error, sizeof(error));
    if (!memory)
        die("%s%s", error, backing.path || backing.memfd || backing.prealloc ? "" : "; ask for less with -m");
    return memory;
}
