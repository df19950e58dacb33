/*
 * Between the option table and the functions that read the values: parse-machine.c, parse-cpus.c, parse-boot.c, parse-drives.c, parse-view.c, parse-devices.c.
 */
#ifndef OPTIONS_PARSE_H
#define OPTIONS_PARSE_H

#include "core/settings.h"
#include "options/config.h"

struct context {
    struct machine_config *config;
    const char *option; /* with its dash, as typed */
    const char *value;  /* NULL: the option takes none */
};

/* Ends the program with "OPTION VALUE: text". */
_Noreturn void refuse(const struct context *context, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The value taken apart. The texts in it live as long as the config. */
struct settings *value_parse(const struct context *context, const char *first);
/* Ends the program if the settings are not in order. */
void value_done(struct settings *settings);

typedef void parse_function(const struct context *context);

parse_function parse_memory, parse_cpus, parse_cpu, parse_vcpu_pin, parse_uuid, parse_smbios, parse_rtc,
    parse_fw_cfg, parse_no_hpet, parse_action, parse_watchdog_action, parse_accelerator, parse_enable_kvm,
    parse_machine, parse_name, parse_nodefaults, parse_no_reboot, parse_no_shutdown, parse_start_stopped,
    parse_log, parse_log_file;
/* Without -cpu: qemu64, of which nothing is said that the engine has not got. */
void cpu_default(struct machine_config *config);
parse_function parse_drive, parse_snapshot, parse_fd, parse_hd, parse_cdrom, parse_boot, parse_bios,
    parse_kernel, parse_initrd, parse_append;
parse_function parse_display, parse_vnc, parse_nographic, parse_vga, parse_serial, parse_monitor, parse_qmp,
    parse_gdb, parse_gdb_default, parse_debugcon, parse_global, parse_chardev, parse_mon;
parse_function parse_daemonize, parse_pidfile, parse_completion;
parse_function parse_mem_path, parse_mem_prealloc, parse_object;
parse_function parse_device, parse_netdev, parse_nic, parse_net;

#endif
