/*
 * What viewers say once they are in. Read and judged here: libvncserver would take what every extension ever invented
 * (scaling, file transfer, chat), and some of it can bring it down. Whatever is no message or does not make sense ends the
 * viewer's connection.
 *
 * Encodings: raw, RRE, CoRRE, Hextile, Zlib, Tight, ZRLE; cursor shape, desktop size, extended desktop size (the guest alone
 * sets it), last rectangle. QEMU's extensions: key events with scan codes (-258), pointer events as steps where the guest
 * has no absolute pointer (-257). JPEG, which blurs text, with lossy=on only.
 *
 * Source: RFC 6143, 7.4 and 7.5; the RFB protocol (https://github.com/rfbproto/rfbproto): "SetDesktopSize", "QEMU Extended
 * Key Event Message", "QEMU Pointer Motion Change", "JPEG Quality Level".
 */
#ifdef HAVE_VNC
#include "display/vnc-internal.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/lock.h"

enum {
    MESSAGE_FORMAT = 0,
    MESSAGE_ENCODINGS = 2,
    MESSAGE_REQUEST = 3,
    MESSAGE_KEY = 4,
    MESSAGE_POINTER = 5,
    MESSAGE_CUT = 6,
    MESSAGE_SIZE = 251,
    MESSAGE_QEMU = 255,

    QEMU_KEY = 0,
    SCREEN_SIZE = 16, /* bytes of a screen in MESSAGE_SIZE */
    CUT_MOST = 1 << 20,
    STEPS_ZERO = 0x7fff, /* "no step" of a pointer that sends steps */

    QUALITY_LOWEST = -32,
    QUALITY_HIGHEST = -23,
    COMPRESSION_LOWEST = -256,
    COMPRESSION_HIGHEST = -247,
    ENCODING_POINTER_CHANGE = -257,
    ENCODING_EXTENDED_KEYS = -258,
};

/* ---- reading */

static bool receive(struct vnc_client *client, void *to, size_t size)
{
    return client->server->library.read_exact(client->rfb, to, (int)size, VNC_WAIT_MOST) > 0;
}

static unsigned word(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t double_word(const uint8_t *at)
{
    return (uint32_t)word(at) << 16 | word(at + 2);
}

static bool skip(struct vnc_client *client, size_t size)
{
    uint8_t bin[4096];
    for (size_t piece; size; size -= piece) {
        piece = size < sizeof(bin) ? size : sizeof(bin);
        if (!receive(client, bin, piece))
            return false;
    }
    return true;
}

/* ---- what the viewer is shown */

/* A number of ones from the lowest bit on that lies within the pixel. */
static bool color_fits(unsigned most, unsigned shift, unsigned bits)
{
    return most && !(most & (most + 1)) && shift < bits && (uint64_t)most << shift < 1ull << bits;
}

static bool format_set(struct vnc_client *client)
{
    uint8_t body[19]; /* 3 bytes of padding, then the format: RFC 6143, 7.4 */
    rfbPixelFormat *format = &client->rfb->format;
    if (!receive(client, body, sizeof(body)))
        return false;
    *format = (rfbPixelFormat){
        .bitsPerPixel = body[3],
        .depth = body[4],
        .bigEndian = body[5] != 0,
        .trueColour = body[6] != 0,
        .redMax = (uint16_t)word(&body[7]),
        .greenMax = (uint16_t)word(&body[9]),
        .blueMax = (uint16_t)word(&body[11]),
        .redShift = body[13],
        .greenShift = body[14],
        .blueShift = body[15],
    };
    unsigned bits = format->bitsPerPixel;
    if (bits != 8 && bits != 16 && bits != 32)
        return false;
    if (format->trueColour ? !color_fits(format->redMax, format->redShift, bits) ||
                                 !color_fits(format->greenMax, format->greenShift, bits) ||
                                 !color_fits(format->blueMax, format->blueShift, bits)
                           : bits != 8)
        return false;
    client->rfb->readyForSetColourMapEntries = TRUE;
    return client->screen->setTranslateFunction(client->rfb);
}

/* A rectangle without contents tells the viewer that the server understands. */
static bool tell(struct vnc_client *client, int encoding, unsigned x)
{
    const rfbScreenInfo *screen = client->screen;
    struct {
        rfbFramebufferUpdateMsg update;
        rfbFramebufferUpdateRectHeader rectangle;
    } __attribute__((packed)) message = {
        .update = {.type = rfbFramebufferUpdate, .nRects = htons(1)},
        .rectangle = {.r = {htons((uint16_t)x), 0, htons((uint16_t)screen->width),
                            htons((uint16_t)screen->height)},
                      .encoding = htonl((uint32_t)encoding)},
    };
    return client->server->library.write_exact(client->rfb, (const char *)&message, sizeof(message)) > 0;
}

bool vnc_pointer_tell(struct vnc_client *client)
{
    const struct input_sink *input = client->viewer.input;
    if (!client->may_switch)
        return true;
    machine_lock();
    bool steps = !(input->wants_absolute && input->wants_absolute(input->device));
    machine_unlock();
    if (client->told && client->told_steps == steps)
        return true;
    client->told = true;
    client->told_steps = steps;
    return tell(client, ENCODING_POINTER_CHANGE, !steps);
}

static void encodings_forget(struct vnc_client *client)
{
    rfbClientPtr rfb = client->rfb;
    rfb->preferredEncoding = rfbEncodingRaw;
    rfb->useNewFBSize = rfb->useExtDesktopSize = rfb->enableLastRectEncoding = FALSE;
    rfb->enableCursorShapeUpdates = rfb->useRichCursorEncoding = FALSE;
    client->may_switch = client->told = false;
#ifdef LIBVNCSERVER_HAVE_LIBJPEG
    rfb->tightQualityLevel = rfb->turboQualityLevel = -1; /* no JPEG */
#endif
}

static void level_set(struct vnc_client *client, int encoding)
{
    rfbClientPtr rfb = client->rfb;
    if (encoding >= COMPRESSION_LOWEST && encoding <= COMPRESSION_HIGHEST) {
#ifdef LIBVNCSERVER_HAVE_LIBZ
        rfb->zlibCompressLevel = encoding - COMPRESSION_LOWEST;
#endif
#ifdef LIBVNCSERVER_HAVE_LIBJPEG
        rfb->tightCompressLevel = encoding - COMPRESSION_LOWEST;
#endif
    }
#ifdef LIBVNCSERVER_HAVE_LIBJPEG
    if (encoding >= QUALITY_LOWEST && encoding <= QUALITY_HIGHEST && client->server->lossy) {
        rfb->tightQualityLevel = encoding - QUALITY_LOWEST;
        rfb->turboQualityLevel = 10 + 10 * rfb->tightQualityLevel;
    }
#endif
}

/* False if the viewer is gone. */
static bool encoding_add(struct vnc_client *client, int encoding, bool *chosen)
{
    rfbClientPtr rfb = client->rfb;
    switch (encoding) {
    case rfbEncodingRaw:
    case rfbEncodingRRE:
    case rfbEncodingCoRRE:
    case rfbEncodingHextile:
#ifdef LIBVNCSERVER_HAVE_LIBZ
    case rfbEncodingZlib:
    case rfbEncodingZRLE:
#endif
#ifdef LIBVNCSERVER_HAVE_LIBJPEG
    case rfbEncodingTight:
#endif
        if (!*chosen)
            rfb->preferredEncoding = encoding;
        *chosen = true;
        break;
    case (int)rfbEncodingXCursor: rfb->enableCursorShapeUpdates = rfb->cursorWasChanged = TRUE; break;
    case (int)rfbEncodingRichCursor:
        rfb->enableCursorShapeUpdates = rfb->cursorWasChanged = rfb->useRichCursorEncoding = TRUE;
        break;
    case (int)rfbEncodingLastRect: rfb->enableLastRectEncoding = TRUE; break;
    case (int)rfbEncodingExtDesktopSize: rfb->useExtDesktopSize = rfb->useNewFBSize = TRUE; break;
    case (int)rfbEncodingNewFBSize: rfb->useNewFBSize = TRUE; break;
    case ENCODING_POINTER_CHANGE: client->may_switch = true; break;
    case ENCODING_EXTENDED_KEYS: return tell(client, encoding, 0);
    default: level_set(client, encoding); break;
    }
    return true;
}

static bool encodings_set(struct vnc_client *client)
{
    uint8_t head[3], number[4];
    bool chosen = false;
    if (!receive(client, head, sizeof(head)))
        return false;
    encodings_forget(client);
    for (unsigned left = word(&head[1]); left; left--)
        if (!receive(client, number, sizeof(number)) ||
            !encoding_add(client, (int)double_word(number), &chosen))
            return false;
    return true;
}

static bool update_request(struct vnc_client *client)
{
    const struct vnc_library *library = &client->server->library;
    uint8_t body[9];
    if (!receive(client, body, sizeof(body)))
        return false;
    int width = client->screen->width, height = client->screen->height;
    int left = (int)word(&body[1]), top = (int)word(&body[3]);
    int right = left + (int)word(&body[5]), bottom = top + (int)word(&body[7]);
    if (left >= width || top >= height || right == left || bottom == top)
        return true;
    sraRegionPtr region =
        library->region_create(left, top, right < width ? right : width, bottom < height ? bottom : height);
    library->region_or(client->rfb->requestedRegion, region);
    if (!body[0]) {
        library->region_or(client->rfb->modifiedRegion, region);
        if (client->rfb->useExtDesktopSize)
            client->rfb->newFBSizePending = TRUE;
    }
    library->region_destroy(region);
    client->rfb->readyForSetColourMapEntries = TRUE;
    client->asked = true;
    return true;
}

/* The size is the guest's affair: whoever wants another one is told that it may not. */
static bool size_request(struct vnc_client *client)
{
    uint8_t body[7];
    if (!receive(client, body, sizeof(body)) || !skip(client, (size_t)body[5] * SCREEN_SIZE))
        return false;
    if (client->rfb->useExtDesktopSize) {
        client->rfb->requestedDesktopSizeChange = rfbExtDesktopSize_ClientRequestedChange;
        client->rfb->lastDesktopSizeChangeError = rfbExtDesktopSize_ResizeProhibited;
        client->rfb->newFBSizePending = TRUE;
    }
    return true;
}

/* ---- what the viewer does */

static bool key_event(struct vnc_client *client)
{
    uint8_t body[7];
    if (!receive(client, body, sizeof(body)))
        return false;
    machine_lock();
    viewer_keysym(&client->viewer, double_word(&body[3]), body[0]);
    vnc_server_typed(client->server);
    machine_unlock();
    return true;
}

static bool qemu_message(struct vnc_client *client)
{
    uint8_t body[11]; /* submessage, down (16 bits), keysym and code (32 each) */
    if (!receive(client, body, sizeof(body)) || body[0] != QEMU_KEY)
        return false;
    bool down = word(&body[1]);
    uint16_t key = key_for_xt(double_word(&body[7]));
    machine_lock();
    if (key)
        viewer_key(&client->viewer, key, down);
    else
        viewer_keysym(&client->viewer, double_word(&body[3]), down);
    vnc_server_typed(client->server);
    machine_unlock();
    return true;
}

static bool pointer_event(struct vnc_client *client)
{
    uint8_t body[5];
    if (!receive(client, body, sizeof(body)))
        return false;
    int x = (int)word(&body[1]), y = (int)word(&body[3]);
    machine_lock();
    if (client->told && client->told_steps)
        viewer_steps(&client->viewer, x - STEPS_ZERO, y - STEPS_ZERO, body[0]);
    else
        viewer_pointer(&client->viewer, x, y, client->screen->width, client->screen->height, body[0]);
    vnc_server_typed(client->server);
    machine_unlock();
    return true;
}

static bool cut_text(struct vnc_client *client)
{
    uint8_t head[7];
    char text[VNC_CLIPBOARD_MOST];
    if (!receive(client, head, sizeof(head)))
        return false;
    size_t length = double_word(&head[3]), kept = length < sizeof(text) ? length : sizeof(text);
    if (length > CUT_MOST || (kept && !receive(client, text, kept)) || !skip(client, length - kept))
        return false;
    machine_lock();
    vnc_server_clip(client->server, text, kept);
    machine_unlock();
    return true;
}

bool vnc_message(struct vnc_client *client)
{
    uint8_t type;
    if (!receive(client, &type, 1))
        return false;
    switch (type) {
    case MESSAGE_FORMAT: return format_set(client);
    case MESSAGE_ENCODINGS: return encodings_set(client);
    case MESSAGE_REQUEST: return update_request(client);
    case MESSAGE_KEY: return key_event(client);
    case MESSAGE_POINTER: return pointer_event(client);
    case MESSAGE_CUT: return cut_text(client);
    case MESSAGE_SIZE: return size_request(client);
    case MESSAGE_QEMU: return qemu_message(client);
    default: return false;
    }
}
#endif
