#include "options/options.h"

#ifdef HAVE_PNG
#define PNG         "screenshots as PNG (libpng)"
#define WITHOUT_PNG ""
#else
#define PNG         "screenshots as PPM only"
#define WITHOUT_PNG "\nLeft out: PNG screenshots (libpng was not there at build time)"
#endif

void options_version(FILE *out)
{
    fprintf(out, "hearth version " HEARTH_VERSION ", a PC emulator with QEMU's command line\n"
                 "Built with: kvm and soft engines, disassembler (Zydis), " PNG WITHOUT_PNG "\n");
}
