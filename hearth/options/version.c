#include "options/options.h"

#ifdef HAVE_PNG
#define PNG         "screenshots as PNG (libpng)"
#define WITHOUT_PNG ""
#else
#define PNG         "screenshots as PPM only"
#define WITHOUT_PNG "\nLeft out: PNG screenshots (libpng was not there at build time)"
#endif

#ifdef HAVE_JANSSON
#define QMP         ", QMP (libjansson)"
#define WITHOUT_QMP ""
#else
#define QMP         ""
#define WITHOUT_QMP "\nLeft out: QMP (libjansson was not there at build time)"
#endif

void options_version(FILE *out)
{
    fprintf(out,
            "hearth version " HEARTH_VERSION ", a PC emulator with QEMU's command line\n"
            "Built with: kvm and soft engines, disassembler (Zydis), " PNG QMP WITHOUT_PNG WITHOUT_QMP "\n");
}
