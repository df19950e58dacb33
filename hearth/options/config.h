/*
 * What the command line asks for: plain data, filled by options_parse() and read by main and the machine. Strings
 * point into argv, into literals or into `values`.
 */
#ifndef OPTIONS_CONFIG_H
#define OPTIONS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/topology.h"

enum accelerator { ACCEL_AUTO, ACCEL_KVM, ACCEL_SOFT };
enum display_kind { DISPLAY_DEFAULT, DISPLAY_TERMINAL, DISPLAY_NONE };

enum { IDE_DRIVES = 4, SERIALS = 2, QMPS_MOST = 4 };

#define MIB (1024 * 1024ull)
enum { RAM_DEFAULT_MIB = 128 };

struct settings; /* core/settings.h */

/* -rtc: what the clock shows at the start, and whether it goes on while the machine is paused. */
enum clock_base { CLOCK_BASE_UTC, CLOCK_BASE_LOCAL, CLOCK_BASE_DATE };
/* What happens when the watchdog expires. */
enum watchdog_action {
    WATCHDOG_RESET,
    WATCHDOG_SHUTDOWN, /* the power button */
    WATCHDOG_POWER_OFF,
    WATCHDOG_PAUSE,
    WATCHDOG_DEBUG, /* a line on stderr */
    WATCHDOG_NONE,
    WATCHDOG_NMI,
};

struct clock_choice {
    enum clock_base base;
    int64_t date; /* seconds since 1970 */
    bool pauses;
};

struct machine_config {
    const char *program; /* argv[0]'s last part, for messages */
    const char *name;    /* -name; NULL without */
    const uint8_t *uuid; /* -uuid, in the order as written; NULL without */
    uint8_t uuid_bytes[16];
    struct settings *smbios; /* -smbios, a list: firmware/smbios.h reads it */

    const char *mem_path, *memory_backend; /* NULL: none; machine/ram.h */
    bool mem_prealloc;
    struct settings *objects; /* -object */
    uint64_t ram_size;        /* bytes, a multiple of 8 KiB */
    unsigned cpus, cpus_most; /* at the start; with those that may be plugged in */
    struct topology topology; /* of cpus_most */
    struct settings *cpu;     /* -cpu: cpu/models.h reads it */
    struct clock_choice rtc;
    enum watchdog_action watchdog;
    struct settings *fw_cfg; /* -fw_cfg: machine/firmware-items.h reads it */
    const char *vcpu_pin;    /* -vcpu-pin: host/pin.h reads it; NULL: the scheduler decides */
    enum accelerator accelerator;
    bool deterministic; /* -accel soft,deterministic=on */
    bool no_irqchip;    /* -accel kvm,kernel-irqchip=off */
    int translate_after; /* -accel soft,translate=: 0 on, -1 off, else the runs of a block before it is translated */

    struct settings *drives; /* -drive and its short forms, in order: machine/drives.h opens them */
    bool snapshot;           /* -snapshot: what is written to them is forgotten */
    bool no_defaults;        /* -nodefaults */
    const char *boot_order;  /* letters a, c, d, n; NULL: the default, "cad" */
    const char *boot_once;   /* for the first boot only; NULL without */
    bool boot_menu;
    const char *kernel, *initrd, *append; /* NULL: SeaBIOS boots from a disk */
    const char *bios;                     /* -bios; NULL: bios-256k.bin */

    bool no_vmport; /* -machine vmport=off */
    bool no_hpet;   /* -machine hpet=off, -no-hpet */
    enum display_kind display;
    struct settings *vnc; /* -vnc; NULL without */
    bool nographic;
    bool no_vga;
    const char *serial[SERIALS]; /* host ends; NULL: none */
    unsigned serials;
    const char *monitor; /* NULL: only behind Ctrl-A c */
    const char *qmp[QMPS_MOST];
    unsigned qmps;
    const char *gdb;      /* where gdb's server listens; NULL: nowhere */
    const char *debugcon; /* NULL: none */
    uint16_t debugcon_port;

    struct settings *devices;               /* -device, as typed and in order: machine/attach.h makes them */
    struct settings *chardevs;              /* -chardev: host/character.h opens them */
    struct settings *values;                /* what strings here point into */
    struct settings *netdevs, *nics, *nets; /* -netdev, -nic, -net: machine/network.c */

    bool daemonize;
    const char *pidfile;
    bool no_reboot, no_shutdown, start_stopped;
    unsigned log_mask;
    const char *log_file;
};

#endif
