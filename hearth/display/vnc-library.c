/* libvncserver, with what it needs (TLS, compression, JPEG), is several times as large as hearth. */
#ifdef HAVE_VNC
#include "display/vnc-internal.h"

#include "host/library.h"

static void silent(const char *format, ...)
{
    (void)format;
}

#define SYMBOL(name, member)                                                                                 \
    {                                                                                                        \
        name, (void **)&library->member                                                                      \
    }

bool vnc_library_load(struct vnc_library *library, char *error, size_t error_size)
{
    rfbLogProc *log, *log_error;
    const struct library_symbol symbols[] = {
        SYMBOL("rfbGetScreen", get_screen),
        SYMBOL("rfbScreenCleanup", screen_cleanup),
        SYMBOL("rfbNewClient", new_client),
        SYMBOL("rfbCloseClient", close_client),
        SYMBOL("rfbClientConnectionGone", client_gone),
        SYMBOL("rfbUpdateClient", update_client),
        SYMBOL("rfbNewFramebuffer", new_framebuffer),
        SYMBOL("rfbMarkRectAsModified", mark_modified),
        SYMBOL("rfbReadExactTimeout", read_exact),
        SYMBOL("rfbWriteExact", write_exact),
        SYMBOL("rfbEncryptBytes", encrypt),
        SYMBOL("rfbMakeXCursor", make_cursor),
        SYMBOL("rfbFreeCursor", free_cursor),
        SYMBOL("webSocketsHasDataInBuffer", has_more),
        SYMBOL("sraRgnCreateRect", region_create),
        SYMBOL("sraRgnOr", region_or),
        SYMBOL("sraRgnDestroy", region_destroy),
        {"rfbLog", (void **)&log},
        {"rfbErr", (void **)&log_error},
    };
    if (!library_load("libvncserver.so.1", symbols, sizeof(symbols) / sizeof(symbols[0]), error, error_size))
        return false;
    *log = *log_error = silent; /* what viewers do wrong is their own affair */
    return true;
}
#endif
