/*
 * A CD-ROM drive: the packet interface and the MMC commands that firmware and operating systems use of it.
 *
 * Left out: audio, raw sectors (READ CD), more than one track, writing. A data command with a byte count limit of 0 or 1
 * is refused, since nothing could ever be transferred.
 * Sources: ATA/ATAPI-6 (T13/1410D), 8.23 and 9.8; MMC-3 (T10/1363D); SPC-2 (T10/1236D).
 */
#include <assert.h>
#include <string.h>

#include "core/log.h"
#include "devices/ide-drive.h"

enum { CD_SECTOR = 2048, SECTORS_AT_ONCE = IDE_BUFFER_SIZE / CD_SECTOR, FRAMES_A_SECOND = 75, LEAD_IN = 150 };
/* Larger than 80 minutes is no CD. */
enum { CD_SECTORS_MOST = 80 * 60 * FRAMES_A_SECOND };

enum interrupt_reason { REASON_COMMAND = 1 << 0, REASON_TO_HOST = 1 << 1 };
enum { FEATURE_DMA = 1 << 0, LIMIT_MOST = 0xfffe, REPLY_MOST = 256 };

enum sense_key { NO_SENSE = 0, NOT_READY = 2, MEDIUM_ERROR = 3, ILLEGAL_REQUEST = 5, UNIT_ATTENTION = 6 };

enum sense_code { /* with its qualifier in the low byte */
                  UNRECOVERED_READ_ERROR = 0x1100,
                  INVALID_OPCODE = 0x2000,
                  LBA_OUT_OF_RANGE = 0x2100,
                  INVALID_FIELD = 0x2400,
                  MEDIUM_MAY_HAVE_CHANGED = 0x2800,
                  MEDIUM_NOT_PRESENT = 0x3a01, /* tray closed */
                  TRAY_OPEN = 0x3a02,
                  REMOVAL_PREVENTED = 0x5302,
};

enum media_event { EVENT_NONE = 0, EVENT_EJECT_REQUEST = 1, EVENT_NEW_MEDIA = 2, EVENT_REMOVAL = 3 };

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value & 0xffff);
}

static unsigned get16(const uint8_t *from)
{
    return from[0] << 8 | from[1];
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static bool medium_present(const struct ide_drive *drive)
{
    return drive->block && !drive->atapi.tray_open;
}

static uint32_t medium_sectors(const struct ide_drive *drive)
{
    uint64_t sectors = drive->block->size / CD_SECTOR;
    return sectors < UINT32_MAX ? (uint32_t)sectors : UINT32_MAX;
}

void atapi_reset(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    bool open = atapi->tray_open, changed = atapi->changed;
    *atapi = (struct atapi_state){.tray_open = open, .changed = changed};
}

/* ---- ends of commands, and data to the host */

static void packet_ended(struct ide_drive *drive)
{
    drive->task.count = REASON_COMMAND | REASON_TO_HOST;
    ide_complete(drive);
}

static void packet_failed(struct ide_drive *drive, enum sense_key key, enum sense_code code)
{
    drive->atapi.sense_key = key;
    drive->atapi.sense_code = (uint8_t)(code >> 8);
    drive->atapi.sense_qualifier = (uint8_t)code;
    drive->task.count = REASON_COMMAND | REASON_TO_HOST;
    ide_fail(drive, (uint8_t)(key << ERROR_SENSE_SHIFT) | (key == ILLEGAL_REQUEST ? ERROR_ABRT : 0));
}

static void not_ready(struct ide_drive *drive)
{
    packet_failed(drive, NOT_READY, drive->atapi.tray_open ? TRAY_OPEN : MEDIUM_NOT_PRESENT);
}

static void data_continue(struct ide_drive *drive);

/* Offers the next piece of the buffer, of at most the byte count limit in PIO. */
static void data_offer(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    uint32_t start = atapi->reply, size = atapi->end - start;
    if (!drive->dma && size > atapi->limit)
        size = atapi->limit;
    atapi->reply += size;
    ide_transfer(drive, false, start, size, data_continue);
    if (drive->dma)
        return;
    drive->task.count = REASON_TO_HOST;
    drive->task.lba[1] = (uint8_t)size;
    drive->task.lba[2] = (uint8_t)(size >> 8);
    ide_interrupt(drive);
}

static void sectors_loaded(struct ide_drive *drive, int result)
{
    struct atapi_state *atapi = &drive->atapi;
    if (!medium_present(drive)) { /* taken out meanwhile */
        not_ready(drive);
    } else if (result < 0) {
        packet_failed(drive, MEDIUM_ERROR, UNRECOVERED_READ_ERROR);
    } else {
        atapi->sector += drive->piece.iov_len / CD_SECTOR;
        atapi->left -= drive->piece.iov_len / CD_SECTOR;
        atapi->reply = 0;
        atapi->end = (uint32_t)drive->piece.iov_len;
        data_offer(drive);
    }
}

/* Reads as much of what is left as the buffer takes. */
static void sectors_load(struct ide_drive *drive)
{
    const struct atapi_state *atapi = &drive->atapi;
    uint32_t count = atapi->left < SECTORS_AT_ONCE ? atapi->left : SECTORS_AT_ONCE;
    if (medium_present(drive))
        ide_ask(drive, BLOCK_READ, (uint64_t)atapi->sector * CD_SECTOR, count * CD_SECTOR, sectors_loaded);
    else
        not_ready(drive);
}

static void data_continue(struct ide_drive *drive)
{
    const struct atapi_state *atapi = &drive->atapi;
    if (atapi->reply < atapi->end)
        data_offer(drive);
    else if (atapi->left)
        sectors_load(drive);
    else
        packet_ended(drive);
}

static void data_begin(struct ide_drive *drive)
{
    const struct atapi_state *atapi = &drive->atapi;
    bool any = atapi->left || atapi->end;
    if (any && !drive->dma && atapi->limit < 2)
        packet_failed(drive, ILLEGAL_REQUEST, INVALID_FIELD);
    else
        data_continue(drive);
}

/* Answers with the first bytes of the buffer, as many as the host has room for. */
static void reply(struct ide_drive *drive, uint32_t size, uint32_t allocated)
{
    drive->atapi.reply = 0;
    drive->atapi.end = size < allocated ? size : allocated;
    drive->atapi.left = 0;
    data_begin(drive);
}

/* ---- commands. The packet is a copy: replies are made in the buffer it came in. */

static void command_test_unit_ready(struct ide_drive *drive, const uint8_t *packet)
{
    (void)packet;
    packet_ended(drive);
}

static void command_request_sense(struct ide_drive *drive, const uint8_t *packet)
{
    enum { SIZE = 18, CURRENT_ERROR = 0x70, ADDITIONAL = SIZE - 8 };
    struct atapi_state *atapi = &drive->atapi;
    uint8_t *to = drive->buffer;

    if (!atapi->sense_key && atapi->changed) {
        atapi->changed = false;
        atapi->sense_key = UNIT_ATTENTION;
        atapi->sense_code = MEDIUM_MAY_HAVE_CHANGED >> 8;
    }
    to[0] = CURRENT_ERROR;
    to[2] = atapi->sense_key;
    to[7] = ADDITIONAL;
    to[12] = atapi->sense_code;
    to[13] = atapi->sense_qualifier;
    atapi->sense_key = atapi->sense_code = atapi->sense_qualifier = NO_SENSE;
    reply(drive, SIZE, packet[4]);
}

static void command_inquiry(struct ide_drive *drive, const uint8_t *packet)
{
    enum { SIZE = 36, CD_ROM = 5, REMOVABLE = 0x80, FORMAT = 0x21 };
    uint8_t *to = drive->buffer;
    if (packet[1] & 1) { /* vital product data: none */
        packet_failed(drive, ILLEGAL_REQUEST, INVALID_FIELD);
        return;
    }
    to[0] = CD_ROM;
    to[1] = REMOVABLE;
    to[3] = FORMAT;
    to[4] = SIZE - 5;
    memcpy(to + 8, "HEARTH  CD-ROM          1.0 ", SIZE - 8);
    reply(drive, SIZE, packet[4]);
}

static void command_start_stop(struct ide_drive *drive, const uint8_t *packet)
{
    enum { START = 1 << 0, LOAD_EJECT = 1 << 1 };
    struct atapi_state *atapi = &drive->atapi;
    bool open = !(packet[4] & START);
    if (packet[4] & LOAD_EJECT) {
        if (open && atapi->locked) {
            packet_failed(drive, ILLEGAL_REQUEST, REMOVAL_PREVENTED);
            return;
        }
        if (open != atapi->tray_open && drive->block) {
            atapi->changed = !open;
            atapi->media_event = open ? EVENT_REMOVAL : EVENT_NEW_MEDIA;
        }
        atapi->tray_open = open;
    }
    packet_ended(drive);
}

static void command_prevent_removal(struct ide_drive *drive, const uint8_t *packet)
{
    drive->atapi.locked = packet[4] & 1;
    packet_ended(drive);
}

static void command_read_capacity(struct ide_drive *drive, const uint8_t *packet)
{
    (void)packet;
    uint32_t sectors = medium_sectors(drive);
    put32(drive->buffer, sectors ? sectors - 1 : 0);
    put32(drive->buffer + 4, CD_SECTOR);
    reply(drive, 8, 8);
}

static void read_sectors(struct ide_drive *drive, uint32_t first, uint32_t count)
{
    uint32_t all = medium_sectors(drive);
    if (first >= all || count > all - first) {
        packet_failed(drive, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
        return;
    }
    drive->atapi.sector = first;
    drive->atapi.left = count;
    drive->atapi.reply = drive->atapi.end = 0;
    data_begin(drive);
}

static void command_read_10(struct ide_drive *drive, const uint8_t *packet)
{
    read_sectors(drive, get32(packet + 2), get16(packet + 7));
}

static void command_read_12(struct ide_drive *drive, const uint8_t *packet)
{
    read_sectors(drive, get32(packet + 2), get32(packet + 6));
}

static void command_seek(struct ide_drive *drive, const uint8_t *packet)
{
    if (get32(packet + 2) >= medium_sectors(drive))
        packet_failed(drive, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
    else
        packet_ended(drive);
}

static void put_address(uint8_t *to, uint32_t sector, bool minutes)
{
    if (!minutes) {
        put32(to, sector);
        return;
    }
    sector += LEAD_IN;
    to[0] = 0;
    to[1] = (uint8_t)(sector / FRAMES_A_SECOND / 60);
    to[2] = (uint8_t)(sector / FRAMES_A_SECOND % 60);
    to[3] = (uint8_t)(sector % FRAMES_A_SECOND);
}

static void put_track(uint8_t *to, uint8_t number, uint32_t sector, bool minutes)
{
    enum { DATA_TRACK = 0x14 };
    memset(to, 0, 8);
    to[1] = DATA_TRACK;
    to[2] = number;
    put_address(to + 4, sector, minutes);
}

static void command_read_toc(struct ide_drive *drive, const uint8_t *packet)
{
    enum { TOC = 0, SESSIONS = 1, LEAD_OUT = 0xaa, HEADER = 4, ENTRY = 8, MSF = 1 << 1 };
    bool minutes = packet[1] & MSF;
    unsigned format = packet[2] & 0xf ? packet[2] & 0xf : packet[9] >> 6;
    uint8_t first = packet[6], *to = drive->buffer;
    uint32_t size = HEADER;

    if (format > SESSIONS || (format == TOC && first > 1 && first != LEAD_OUT)) {
        packet_failed(drive, ILLEGAL_REQUEST, INVALID_FIELD);
        return;
    }
    if (format == SESSIONS || first <= 1) {
        put_track(to + size, 1, 0, minutes);
        size += ENTRY;
    }
    if (format == TOC) {
        put_track(to + size, LEAD_OUT, medium_sectors(drive), minutes);
        size += ENTRY;
    }
    put16(to, size - 2);
    to[2] = to[3] = 1; /* first and last track or session */
    reply(drive, size, get16(packet + 7));
}

static void command_read_sub_channel(struct ide_drive *drive, const uint8_t *packet)
{
    enum { SIZE = 4, NO_AUDIO = 0x15 };
    put32(drive->buffer, NO_AUDIO << 16);
    reply(drive, SIZE, get16(packet + 7));
}

static void command_get_configuration(struct ide_drive *drive, const uint8_t *packet)
{
    enum { PROFILE_CD_ROM = 8, PROFILE_DVD_ROM = 0x10, CURRENT = 1, PERSISTENT_CURRENT = 3 };
    enum { HEADER = 8, PROFILES = HEADER, CORE = PROFILES + 12, REMOVABLE = CORE + 12, SIZE = REMOVABLE + 8 };
    bool present = medium_present(drive), dvd = present && medium_sectors(drive) > CD_SECTORS_MOST;
    uint8_t *to = drive->buffer;

    if (get16(packet + 2)) { /* beginning with another feature than the first */
        put32(to, HEADER - 4);
        reply(drive, HEADER, get16(packet + 7));
        return;
    }
    put32(to, SIZE - 4);
    put16(to + 6, dvd ? PROFILE_DVD_ROM : present ? PROFILE_CD_ROM : 0);
    to[PROFILES + 2] = PERSISTENT_CURRENT; /* feature 0000h */
    to[PROFILES + 3] = 8;
    put16(to + PROFILES + 4, PROFILE_DVD_ROM);
    to[PROFILES + 6] = dvd ? CURRENT : 0;
    put16(to + PROFILES + 8, PROFILE_CD_ROM);
    to[PROFILES + 10] = present && !dvd ? CURRENT : 0;
    put16(to + CORE, 1);
    to[CORE + 2] = 2 << 2 | PERSISTENT_CURRENT;
    to[CORE + 3] = 8;
    put32(to + CORE + 4, 2); /* ATAPI */
    to[CORE + 8] = 1;
    put16(to + REMOVABLE, 3);
    to[REMOVABLE + 2] = PERSISTENT_CURRENT;
    to[REMOVABLE + 3] = 4;
    to[REMOVABLE + 4] = 1 << 5 | 1 << 3 | 1 << 0; /* tray, eject, lock */
    reply(drive, SIZE, get16(packet + 7));
}

static void command_get_event(struct ide_drive *drive, const uint8_t *packet)
{
    enum { POLLED = 1, MEDIA = 4, NO_EVENT_AVAILABLE = 0x80, TRAY_IS_OPEN = 1, PRESENT = 2, SIZE = 8 };
    struct atapi_state *atapi = &drive->atapi;
    uint8_t *to = drive->buffer;

    if (!(packet[1] & POLLED)) {
        packet_failed(drive, ILLEGAL_REQUEST, INVALID_FIELD);
        return;
    }
    to[3] = 1 << MEDIA; /* the classes there are */
    if (!(packet[4] & 1 << MEDIA)) {
        put16(to, 2);
        to[2] = NO_EVENT_AVAILABLE;
        reply(drive, 4, get16(packet + 7));
        return;
    }
    put16(to, SIZE - 2);
    to[2] = MEDIA;
    to[4] = atapi->media_event;
    to[5] = (atapi->tray_open ? TRAY_IS_OPEN : 0) | (medium_present(drive) ? PRESENT : 0);
    if (get16(packet + 7) > 4)
        atapi->media_event = EVENT_NONE;
    reply(drive, SIZE, get16(packet + 7));
}

static void command_read_disc_information(struct ide_drive *drive, const uint8_t *packet)
{
    enum { SIZE = 34, COMPLETE = 0x0e, UNRESTRICTED = 0x20 };
    uint8_t *to = drive->buffer;
    put16(to, SIZE - 2);
    to[2] = COMPLETE;
    to[3] = to[4] = to[5] = to[6] = 1; /* one track in one session */
    to[7] = UNRESTRICTED;
    memset(to + 17, 0xff, 7);
    reply(drive, SIZE, get16(packet + 7));
}

static uint32_t put_mode_page(const struct ide_drive *drive, uint8_t page, uint8_t *to)
{
    enum {
        ERROR_RECOVERY = 0x01,
        CAPABILITIES = 0x2a,
        LOCKED = 1 << 1,
        CAN_LOCK_AND_EJECT = 0x29,
        SPEED = 706
    };
    if (page == ERROR_RECOVERY) {
        to[0] = ERROR_RECOVERY;
        to[1] = 6;
        to[3] = 5; /* retries */
        return 8;
    }
    to[0] = CAPABILITIES;
    to[1] = 18;
    to[2] = 0x03; /* reads CD-R and CD-RW */
    to[4] = 0x70; /* more than one session, mode 2 forms 1 and 2 */
    to[6] = CAN_LOCK_AND_EJECT | (drive->atapi.locked ? LOCKED : 0);
    put16(to + 8, SPEED);
    put16(to + 12, IDE_BUFFER_SIZE / 1024);
    put16(to + 14, SPEED);
    return 20;
}

static void command_mode_sense(struct ide_drive *drive, const uint8_t *packet)
{
    enum { HEADER = 8, ALL = 0x3f, SAVED_VALUES = 3 };
    static const uint8_t pages[] = {0x01, 0x2a};
    uint8_t wanted = packet[2] & ALL;
    uint32_t size = HEADER;

    for (unsigned i = 0; i < sizeof(pages); i++)
        if (packet[2] >> 6 != SAVED_VALUES && (wanted == ALL || wanted == pages[i]))
            size += put_mode_page(drive, pages[i], drive->buffer + size);
    if (size == HEADER) {
        packet_failed(drive, ILLEGAL_REQUEST, INVALID_FIELD);
        return;
    }
    put16(drive->buffer, size - 2);
    reply(drive, size, get16(packet + 7));
}

static void command_mechanism_status(struct ide_drive *drive, const uint8_t *packet)
{
    enum { SIZE = 8, DOOR_OPEN = 1 << 4 };
    drive->buffer[1] = drive->atapi.tray_open ? DOOR_OPEN : 0;
    drive->buffer[5] = 1; /* slots */
    reply(drive, SIZE, get16(packet + 8));
}

enum { REQUEST_SENSE = 0x03 };
enum { NEEDS_MEDIUM = 1 << 0, TELLS_OF_CHANGE = 1 << 1 };

static const struct {
    uint8_t opcode, flags;
    void (*run)(struct ide_drive *drive, const uint8_t *packet);
} commands[] = {
    {0x00, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_test_unit_ready},
    {REQUEST_SENSE, 0, command_request_sense},
    {0x12, 0, command_inquiry},
    {0x1b, 0, command_start_stop},
    {0x1e, 0, command_prevent_removal},
    {0x25, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_read_capacity},
    {0x28, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_read_10},
    {0x2b, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_seek},
    {0x42, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_read_sub_channel},
    {0x43, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_read_toc},
    {0x46, 0, command_get_configuration},
    {0x4a, 0, command_get_event},
    {0x51, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_read_disc_information},
    {0x5a, 0, command_mode_sense},
    {0xa8, NEEDS_MEDIUM | TELLS_OF_CHANGE, command_read_12},
    {0xbd, 0, command_mechanism_status},
};

/* The twelve bytes have come. */
static void packet_received(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    uint8_t packet[PACKET_SIZE];
    unsigned i;

    memcpy(packet, drive->buffer, sizeof(packet));
    memset(drive->buffer, 0, REPLY_MOST);
    atapi->reply = atapi->end = atapi->left = 0;
    drive->dma = drive->task.features & FEATURE_DMA;
    if (packet[0] != REQUEST_SENSE)
        atapi->sense_key = atapi->sense_code = atapi->sense_qualifier = 0;
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]) && commands[i].opcode != packet[0]; i++)
        continue;
    if (i == sizeof(commands) / sizeof(commands[0])) {
        packet_failed(drive, ILLEGAL_REQUEST, INVALID_OPCODE);
    } else if (commands[i].flags & TELLS_OF_CHANGE && atapi->changed) {
        atapi->changed = false;
        packet_failed(drive, UNIT_ATTENTION, MEDIUM_MAY_HAVE_CHANGED);
    } else if (commands[i].flags & NEEDS_MEDIUM && !medium_present(drive)) {
        not_ready(drive);
    } else {
        commands[i].run(drive, packet);
    }
}

/* ---- ATA commands of a packet device */

static void command_packet(struct ide_drive *drive)
{
    unsigned limit = drive->task.lba[1] | drive->task.lba[2] << 8;
    drive->atapi.limit = (uint16_t)(limit > LIMIT_MOST ? LIMIT_MOST : limit & ~1u);
    drive->error = 0;
    drive->task.count = REASON_COMMAND;
    ide_transfer(drive, true, 0, PACKET_SIZE, packet_received);
}

static void identify_ended(struct ide_drive *drive)
{
    drive->status = STATUS_DRDY | STATUS_DSC;
}

static void command_identify_packet(struct ide_drive *drive)
{
    static const struct {
        uint8_t word;
        uint16_t value;
    } words[] = {
        {0, 0x85c0},                /* packet device, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
        {49, 0x0f00},               /* IORDY, LBA, DMA */
        {51, 0x0200}, {53, 0x0002}, /* words 64-70 are valid */
        {64, 0x0003},               /* PIO modes 3 and 4 */
        {65, 120},                  /* cycle times, ns */
        {66, 120},    {67, 120},    {68, 120},    {80, 0x0070}, /* ATA/ATAPI-4 to -6 */
        {82, 0x4210},                                           /* NOP, DEVICE RESET, PACKET */
        {83, 0x4000}, {84, 0x4000}, {85, 0x4210}, {87, 0x4000},
    };
    uint8_t *identify = drive->buffer;

    memset(identify, 0, IDENTIFY_SIZE);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ide_identify_word(identify, words[i].word, words[i].value);
    ide_identify_word(identify, 63, (uint16_t)(0x0007 | drive->dma_mode << 8));
    ide_identify_string(identify + 2 * 10, SERIAL_SIZE, drive->serial);
    ide_identify_string(identify + 2 * 23, 8, "1.0");
    ide_identify_string(identify + 2 * 27, MODEL_SIZE, drive->model);
    drive->error = 0;
    ide_transfer(drive, false, 0, IDENTIFY_SIZE, identify_ended);
    ide_interrupt(drive);
}

void atapi_command(struct ide_drive *drive, uint8_t opcode)
{
    enum {
        READ_SECTORS = 0x20,
        PACKET = 0xa0,
        IDENTIFY_PACKET_DEVICE = 0xa1,
        STANDBY_IMMEDIATE = 0xe0,
        IDLE_IMMEDIATE = 0xe1,
        SLEEP = 0xe6,
        IDENTIFY_DEVICE = 0xec,
        SET_FEATURES = 0xef,
        TRANSFER_MODE = 0x03,
    };
    switch (opcode) {
    case PACKET: command_packet(drive); break;
    case IDENTIFY_PACKET_DEVICE: command_identify_packet(drive); break;
    case STANDBY_IMMEDIATE:
    case IDLE_IMMEDIATE:
    case SLEEP: ide_complete(drive); break;
    case SET_FEATURES:
        if (drive->task.features == TRANSFER_MODE && ide_set_transfer_mode(drive, drive->task.count))
            ide_complete(drive);
        else
            ide_fail(drive, ERROR_ABRT);
        break;
    case READ_SECTORS:
    case IDENTIFY_DEVICE: /* they fail, and tell what this is */
        ide_signature(drive);
        ide_fail(drive, ERROR_ABRT);
        break;
    default: ide_fail(drive, ERROR_ABRT);
    }
}

bool ide_change_medium(struct ide *ide, unsigned channel, unsigned unit, struct block_device *medium,
                       bool force)
{
    assert(channel < IDE_CHANNELS && unit < IDE_UNITS);
    struct ide_drive *drive = &ide->channels[channel].drives[unit];
    struct atapi_state *atapi = &drive->atapi;
    if (drive->kind != IDE_CDROM)
        return false;
    if (atapi->locked && !force) {
        atapi->media_event = EVENT_EJECT_REQUEST;
        return false;
    }
    drive->block = medium;
    atapi->tray_open = false;
    atapi->changed = medium != NULL;
    atapi->media_event = medium ? EVENT_NEW_MEDIA : EVENT_REMOVAL;
    return true;
}
