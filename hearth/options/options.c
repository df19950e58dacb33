/*
 * The option table: each option stands beside its help. What the options mean is QEMU's; docs/quirks.md lists where
 * hearth differs.
 */
#include "options/options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "options/table.h"

void refuse(const struct context *context, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (context->value)
        die("%s %s: %s", context->option, context->value, text);
    die("%s: %s", context->option, text);
}

struct settings *value_parse(const struct context *context, const char *first)
{
    struct settings *settings = settings_parse(context->option, context->value, first);
    settings_append(&context->config->values, settings);
    return settings;
}

void value_done(struct settings *settings)
{
    const char *error = settings_error(settings);
    if (error)
        die("%s", error);
}

static void parse_help(const struct context *context)
{
    options_help(stdout, context->config->program);
    exit(0);
}

static void parse_version(const struct context *context)
{
    (void)context;
    options_version(stdout);
    exit(0);
}

const struct option options[] = {
    {NULL, "Machine", NULL, NULL},
    {"m", "SIZE", parse_memory, "guest RAM, default 128M; suffixes k M G T, without one MiB"},
    {"mem-path", "PATH", parse_mem_path,
     "guest RAM from a file there: a directory of hugetlbfs (/dev/hugepages)\nputs it on huge pages"},
    {"mem-prealloc", NULL, parse_mem_prealloc, "touch all guest RAM before the start"},
    {"object", "memory-backend-file|ram|memfd,id=ID,size=[,...]", parse_object,
     "the same for -machine memory-backend=ID: mem-path= share= prealloc=\nhugetlb= hugetlbsize="},
    {"smp", "N[,maxcpus=][,...]", parse_cpus,
     "number of CPUs, default 1; ,sockets= ,dies= ,cores= ,threads= arrange\nthem, and up to maxcpus= can be "
     "plugged in later"},
    {"cpu", "MODEL[,+f][,-f][,...]", parse_cpu,
     "what processor the guest sees, default qemu64, with features added or\nleft out; `-cpu help` lists "
     "both; ,enforce refuses what can't be had"},
    {"vcpu-pin", "auto|N=HOSTCPU,...", parse_vcpu_pin,
     "bind the guest's CPUs to host CPUs; auto takes isolated ones first"},
    {"accel", "auto|kvm|soft", parse_accelerator,
     "what runs the guest's code: the kernel's KVM, the software CPU\n(also called tcg), or KVM if it proves "
     "usable (default);\n"
     "kvm takes ,kernel-irqchip=on|off; soft ,translate=off (interpret all)\nand ,deterministic=on (all CPUs "
     "in turn, "
     "on a clock of instructions,\nthe same in every run)"},
    {"enable-kvm", NULL, parse_enable_kvm, "same as -accel kvm"},
    {"machine", "pc[,accel=]", parse_machine, "the machine; there is pc, a 440FX with PIIX3"},
    {"M", "pc", parse_machine, NULL},
    {"no-hpet", NULL, parse_no_hpet, "no high precision event timer, as -machine hpet=off"},
    {"name", "NAME", parse_name, "what to call this guest"},
    {"uuid", "UUID", parse_uuid, "its number, as SMBIOS tells it"},
    {"smbios", "type=N[,key=value...]", parse_smbios,
     "what SMBIOS says: vendor, version, date of type 0; manufacturer, product,\nversion, serial, sku, "
     "family of "
     "type 1; likewise 2, 3, 4, 11, 17"},
    {"rtc", "base=utc|localtime|DATE[,...]", parse_rtc,
     "what the clock shows at the start, DATE as 2006-06-17T16:01:21 or\n2006-06-17; ,clock=vm: it stands "
     "while the machine is "
     "paused"},
    {"fw_cfg", "[name=]NAME,file=FILE|string=TEXT", parse_fw_cfg,
     "an item for the firmware configuration device; NAME begins with opt/"},
    {"nodefaults", NULL, parse_nodefaults, "add no devices that were not asked for: no network card"},
    {NULL, "Disks and booting", NULL, NULL},
    {"fda", "FILE", parse_fd, "floppy image in drive A; -fdb for B"},
    {"fdb", "FILE", parse_fd, NULL},
    {"hda", "FILE", parse_hd,
     "hard disk image; -hdb, -hdc, -hdd for the others;\nan argument without a dash is -hda"},
    {"hdb", "FILE", parse_hd, NULL},
    {"hdc", "FILE", parse_hd, NULL},
    {"hdd", "FILE", parse_hd, NULL},
    {"cdrom", "FILE", parse_cdrom, "CD image (in the place of -hdc)"},
    {"drive", "file=FILE[,KEY=...]", parse_drive,
     "a drive: if=ide|floppy|virtio|none, media=disk|cdrom, index= (or\nbus=, unit=), format=raw|qcow2, "
     "readonly=on, id=,\ncache=writeback|none|writethrough|directsync|unsafe,\ndiscard=unmap|ignore, "
     "snapshot=on"},
    {"snapshot", NULL, parse_snapshot, "write to temporary files instead of disk images"},
    {"boot", "[order=]LETTERS", parse_boot,
     "what to boot from: a floppy, c hard disk, d CD; default cad;\n,once=LETTERS for the first time only, "
     ",menu=on asks"},
    {"bios", "FILE", parse_bios, "firmware, default bios-256k.bin of the package seabios"},
    {"kernel", "FILE", parse_kernel,
     "start this kernel, without firmware: a Linux bzImage, an ELF file\nwith a PVH entry, or a multiboot "
     "kernel"},
    {"initrd", "FILE", parse_initrd,
     "its initial RAM disk; for multiboot the modules, as\n\"FILE ARGUMENTS,FILE ARGUMENTS\""},
    {"append", "TEXT", parse_append, "its command line"},
    {NULL, "Seeing the guest", NULL, NULL},
    {"display", "terminal|none", parse_display,
     "the text screen in this terminal (default if it is one), or nothing"},
    {"vnc", "HOST:N[,...]", parse_vnc,
     "show the screen to VNC viewers at port 5900 + N, or unix:PATH;\nto=M tries the ports up to 5900 + M, "
     "password=on asks for the one\nthat the monitor sets, websocket=on|PORT serves browsers,\n"
     "share=allow-exclusive|force-shared|ignore"},
    {"nographic", NULL, parse_nographic, "no display; serial port and monitor share this terminal"},
    {"vga", "std|none", parse_vga, "the display adapter"},
    {"serial", "HOST", parse_serial,
     "what the next serial port is joined to: stdio, mon:stdio, none,\nnull, file:PATH, pty, "
     "unix:PATH,server, tcp:HOST:PORT,server"},
    {"monitor", "HOST", parse_monitor, "where the monitor listens, as -serial"},
    {"chardev", "KIND,id=ID[,...]", parse_chardev,
     "a host end by itself, for chardev=ID and -serial chardev:ID: null,\nstdio[,mux=on], pty, file,path=, "
     "socket,path= or socket,host=,port=\nwith server=on, wait=off"},
    {"mon", "ID[,mode=readline|control]", parse_mon, "a monitor on that host end"},
    {"qmp", "HOST", parse_qmp, "where the monitor for programs (JSON) listens, as -serial"},
    {"debugcon", "HOST", parse_debugcon, "where the debug port (e9h) goes, as -serial"},
    {"global", "isa-debugcon.iobase=PORT", parse_global, "another debug port; SeaBIOS's is 0x402"},
    {NULL, "Network", NULL, NULL},
    {"nic", "user|tap|none[,...]", parse_nic,
     "a network card and what it is joined to: the user network (default;\nno set-up: the guest's "
     "connections are "
     "hearth's own), a tap device,\nor nothing; ,model=e1000 ,mac=ADDRESS and what -netdev takes"},
    {"netdev", "user,id=ID[,...]", parse_netdev,
     "the user network for -device CARD,netdev=ID: net=10.0.2.0/24 host=\ndns= dhcpstart= hostname= "
     "restrict=on|off "
     "tftp=DIR bootfile=FILE\nhostfwd=tcp:[HOST]:PORT-[GUEST]:PORT\nguestfwd=tcp:ADDRESS:PORT-cmd:COMMAND"},
    {"netdev", "tap,id=ID[,...]", parse_netdev, "a tap device: ifname=NAME, or fd=N that is open already"},
    {"net", "nic|user|tap|none", parse_net, "cards and networks in the old form, joined in their order"},
    {NULL, "Control", NULL, NULL},
    {"S", NULL, parse_start_stopped, "do not start the CPUs (`cont` in the monitor does)"},
    {"gdb", "HOST", parse_gdb,
     "let gdb in there (target remote), as -serial; tcp::PORT is for this\nhost alone"},
    {"s", NULL, parse_gdb_default, "same as -gdb tcp::1234"},
    {"no-reboot", NULL, parse_no_reboot, "end instead of rebooting"},
    {"no-shutdown", NULL, parse_no_shutdown, "stop instead of ending, so that the state can be looked at"},
    {"action", "reboot=|shutdown=|watchdog=", parse_action,
     "reboot=shutdown is -no-reboot, shutdown=pause is -no-shutdown; what the\nwatchdog (-device i6300esb) "
     "does: watchdog=reset (default), shutdown,\npoweroff, inject-nmi, pause, debug or none"},
    {"watchdog-action", "ACTION", parse_watchdog_action, "same as -action watchdog=ACTION"},
    {"daemonize", NULL, parse_daemonize, "go into the background when everything is set up"},
    {"pidfile", "FILE", parse_pidfile, "write the process id there; removed at the end"},
    {"device", "DRIVER[,id=][,...]", parse_device, "adds a device; `-device help` lists them"},
    {"d", "ITEM,...", parse_log, "log these on stderr; `-d help` lists them"},
    {"D", "FILE", parse_log_file, "log there instead"},
    {"help", NULL, parse_help, "this page"},
    {"h", NULL, parse_help, NULL},
    {"completion", "bash|zsh|fish|man", parse_completion,
     "completion for a shell, as in `. <(hearth -completion bash)`; man is\nthis page as roff"},
    {"version", NULL, parse_version, "version, and what was built in"},
};
const size_t options_count = sizeof(options) / sizeof(options[0]);

/* A line for each option; continuation lines of its help are indented to the same column. */
static void option_print(FILE *out, const struct option *option)
{
    char usage[64];
    snprintf(usage, sizeof(usage), "-%s %s", option->name, option->argument ? option->argument : "");
    fprintf(out, "  %-27s ", usage);
    if (strlen(usage) > 27)
        fprintf(out, "\n%-30s", "");
    for (const char *at = option->help; *at; at++) {
        fputc(*at, out);
        if (*at == '\n')
            fprintf(out, "%-30s", "");
    }
    fputc('\n', out);
}

void options_help(FILE *out, const char *program)
{
    options_version(out);
    fprintf(out, "usage: %s [options] [disk image]\n", program);
    for (size_t i = 0; i < options_count; i++) {
        if (!options[i].name)
            fprintf(out, "\n%s:\n", options[i].argument);
        else if (options[i].help)
            option_print(out, &options[i]);
    }
    fprintf(out,
            "\nIn the terminal: Ctrl-A x ends, Ctrl-A c goes to the monitor and back, Ctrl-A h helps.\n");
}

static const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < options_count; i++)
        if (options[i].name && !strcmp(options[i].name, name))
            return &options[i];
    return NULL;
}

static void defaults_set(struct machine_config *config)
{
    config->ram_size = RAM_DEFAULT_MIB * MIB;
    config->cpus = config->cpus_most = 1;
    config->topology = (struct topology){1, 1, 1, 1};
    config->debugcon_port = 0xe9;
}

void options_parse(struct machine_config *config, int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;

    *config = (struct machine_config){.program = slash ? slash + 1 : argc ? argv[0] : "hearth"};
    defaults_set(config);
    for (int i = 1; i < argc; i++) {
        struct context context = {config, argv[i], NULL};
        if (argv[i][0] != '-') {
            context.option = "-hda";
            context.value = argv[i];
            parse_hd(&context);
            continue;
        }
        const char *name = argv[i] + 1 + (argv[i][1] == '-');
        const struct option *option = option_find(name);
        if (!option)
            die("%s: invalid option", argv[i]);
        if (option->argument) {
            if (++i == argc)
                die("%s: requires an argument", context.option);
            context.value = argv[i];
        }
        option->parse(&context);
    }
    cpu_default(config);
    if (config->append && !config->kernel)
        die("-append only allowed with -kernel option");
    if (config->initrd && !config->kernel)
        die("-initrd only allowed with -kernel option");
}

void options_free(struct machine_config *config)
{
    settings_free_all(config->drives);
    settings_free_all(config->devices);
    settings_free_all(config->objects);
    settings_free_all(config->chardevs);
    settings_free_all(config->netdevs);
    settings_free_all(config->nics);
    settings_free_all(config->nets);
    settings_free_all(config->smbios);
    settings_free_all(config->fw_cfg);
    settings_free_all(config->values);
}
