#include "options/options.h"

#include <stdbool.h>

/* 1 where the build has defined the macro (as 1) because it found the library, else 0. */
#define SECOND(first, second, ...) second
#define CHOOSE(...)                SECOND(__VA_ARGS__, 0, 0)
#define MARK_1                     0, 1
#define PASTE(a, b)                a##b
#define FOUND_VALUE(value)         CHOOSE(PASTE(MARK_, value))
#define FOUND(macro)               FOUND_VALUE(macro)

static const struct {
    const char *what, *library;
    bool there;
} parts[] = {
    {"screenshots as PNG", "libpng", FOUND(HAVE_PNG)},
    {"QMP", "libjansson", FOUND(HAVE_JANSSON)},
    {"VNC", "libvncserver", FOUND(HAVE_VNC)},
    {"user network", "libslirp", FOUND(HAVE_SLIRP)},
    {"compressed qcow2 clusters", "zlib", FOUND(HAVE_ZLIB)},
    {"disks of other machines", "libnbd", FOUND(HAVE_NBD)},
    {"qcow2 clusters compressed with zstd", "libzstd", FOUND(HAVE_ZSTD)},
};

void options_version(FILE *out)
{
    fprintf(out, "hearth version " HEARTH_VERSION ", a PC emulator with QEMU's command line\n"
                 "Built with: kvm and soft engines, disassembler (Zydis)");
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].there)
            fprintf(out, ", %s (%s)", parts[i].what, parts[i].library);
    fputc('\n', out);
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!parts[i].there)
            fprintf(out, "Left out: %s (%s was not there at build time)\n", parts[i].what, parts[i].library);
}
