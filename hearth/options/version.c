#include "options/options.h"

#ifdef HAVE_PNG
#define PNG         "screenshots as PNG (libpng)"
#define WITHOUT_PNG ""
#else
#define PNG         "screenshots as PPM only"
#define WITHOUT_PNG "\nLeft out: PNG screenshots (libpng was not there at build time)"
#endif

#ifdef HAVE_JANSSON
#define QMP         VNC ", QMP (libjansson)"
#define WITHOUT_QMP WITHOUT_VNC ""
#else
#define QMP         ""
#define WITHOUT_QMP "\nLeft out: QMP (libjansson was not there at build time)"
#endif

#ifdef HAVE_SLIRP
#define USER         ", user network (libslirp)"
#define WITHOUT_USER ""
#else
#define USER         ""
#define WITHOUT_USER "\nLeft out: the user network (libslirp was not there at build time)"
#endif

#ifdef HAVE_VNC
#define VNC         ", VNC (libvncserver)"
#define WITHOUT_VNC ""
#else
#define VNC         ""
#define WITHOUT_VNC "\nLeft out: VNC (libvncserver was not there at build time)"
#endif

void options_version(FILE *out)
{
    fprintf(out, "hearth version " HEARTH_VERSION ", a PC emulator with QEMU's command line\n"
                 "Built with: kvm and soft engines, disassembler (Zydis), " PNG QMP USER VNC WITHOUT_PNG
                     WITHOUT_QMP WITHOUT_USER WITHOUT_VNC "\n");
}
