#include "host/library.h"

#include <dlfcn.h>
#include <stdio.h>

bool library_load(const char *soname, const struct library_symbol *symbols, size_t count, char *error,
                  size_t error_size)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(error, error_size, "%s cannot be loaded: %s", soname, dlerror());
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        *symbols[i].function = dlsym(library, symbols[i].name);
        if (*symbols[i].function)
            continue;
        snprintf(error, error_size, "%s has no %s", soname, symbols[i].name);
        return false;
    }
    return true;
}
