/*
 * The option table: each option stands beside its help. What the options mean is QEMU's; docs/quirks.md lists where
 * hearth differs.
 */
#include "options/options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

#define MIB (1024 * 1024ull)

enum { RAM_DEFAULT_MIB = 128, CPUS_MOST = 255, RAM_GRAIN = 8192 };

struct context {
    struct machine_config *config;
    const char *option; /* with its dash, as typed */
    const char *value;
};

_Noreturn __attribute__((format(printf, 2, 3))) static void refuse(const struct context *context,
                                                                   const char *format, ...)
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

/* ---- values of the form word,key=value,... */

struct property {
    char key[32];
    char value[480];
};

/* Takes the next comma-separated piece off *rest; a piece without '=' has an empty key. False at the end. */
static bool property_next(const struct context *context, const char **rest, struct property *property)
{
    const char *piece = *rest;
    if (!*piece)
        return false;
    size_t length = strcspn(piece, ",");
    const char *equals = memchr(piece, '=', length);
    size_t key = equals ? (size_t)(equals - piece) : 0;
    const char *value = equals ? equals + 1 : piece;
    size_t value_length = length - (size_t)(value - piece);

    if (key >= sizeof(property->key) || value_length >= sizeof(property->value))
        refuse(context, "value is too long");
    memcpy(property->key, piece, key);
    property->key[key] = '\0';
    memcpy(property->value, value, value_length);
    property->value[value_length] = '\0';
    *rest = piece + length + (piece[length] == ',');
    return true;
}

static bool key_is(const struct property *property, const char *key)
{
    return !strcmp(property->key, key);
}

static bool property_switch(const struct context *context, const struct property *property)
{
    if (!strcmp(property->value, "on") || !strcmp(property->value, "yes"))
        return true;
    if (!strcmp(property->value, "off") || !strcmp(property->value, "no"))
        return false;
    refuse(context, "Parameter '%s' expects 'on' or 'off'", property->key);
}

static uint64_t property_number(const struct context *context, const struct property *property, uint64_t most)
{
    char *end;
    unsigned long long number = strtoull(property->value, &end, 0);
    if (!property->value[0] || property->value[0] == '-' || *end || number > most)
        refuse(context, "Parameter '%s' expects a number up to %#llx", property->key,
               (unsigned long long)most);
    return number;
}

/* ---- machine */

static void parse_memory(const struct context *context)
{
    const char *rest = context->value;
    struct property property;
    uint64_t size = 0;

    while (property_next(context, &rest, &property)) {
        if (property.key[0] && !key_is(&property, "size"))
            refuse(context, "Parameter '%s' is unexpected", property.key);
        if (!size_parse(property.value, MIB, &size))
            refuse(context, "Parameter 'size' expects a non-negative number below 2^64; use k, M, G or T for "
                            "kilo-, mega-, giga- and terabytes");
    }
    if (!size)
        size = RAM_DEFAULT_MIB * MIB;
    if (size > UINT64_MAX - RAM_GRAIN)
        refuse(context, "ram size too large");
    size = (size + RAM_GRAIN - 1) / RAM_GRAIN * RAM_GRAIN;
    if (size < MIB)
        refuse(context, "a PC needs at least 1 MiB of RAM");
    context->config->ram_size = size;
}

static void parse_cpus(const struct context *context)
{
    const char *rest = context->value;
    struct property property;

    while (property_next(context, &rest, &property)) {
        if (property.key[0] && !key_is(&property, "cpus"))
            refuse(context, "Parameter 'smp.%s' is unexpected", property.key);
        char *end;
        unsigned long cpus = strtoul(property.value, &end, 10);
        if (*end || property.value[0] < '0' || property.value[0] > '9')
            refuse(context, "Parameter 'smp.cpus' expects integer");
        if (!cpus)
            refuse(context, "Invalid CPU topology: CPU topology parameters must be greater than zero");
        if (cpus > CPUS_MOST)
            refuse(context, "Invalid SMP CPUs %lu. The max CPUs supported by machine 'pc' is %d", cpus,
                   CPUS_MOST);
        context->config->cpus = (unsigned)cpus;
    }
}

static bool accelerator_set(struct machine_config *config, const char *word)
{
    if (!strcmp(word, "kvm"))
        config->accelerator = ACCEL_KVM;
    else if (!strcmp(word, "soft") || !strcmp(word, "tcg"))
        config->accelerator = ACCEL_SOFT;
    else if (!strcmp(word, "auto") || !strcmp(word, "kvm:tcg") || !strcmp(word, "kvm:soft"))
        config->accelerator = ACCEL_AUTO;
    else
        return false;
    return true;
}

static void accelerator_property(const struct context *context, const struct property *property)
{
    if (key_is(property, "kernel-irqchip") || key_is(property, "kernel_irqchip"))
        context->config->no_irqchip = !property_switch(context, property);
    else if (!key_is(property, "thread"))
        refuse(context, "Parameter '%s' is unexpected", property->key);
}

static void parse_accelerator(const struct context *context)
{
    const char *rest = context->value;
    struct property property;

    while (property_next(context, &rest, &property)) {
        if (property.key[0])
            accelerator_property(context, &property);
        else if (!strcmp(property.value, "help"))
            exit(puts("Accelerators supported: kvm soft (also called tcg) auto") < 0);
        else if (!accelerator_set(context->config, property.value))
            refuse(context, "invalid accelerator %s; there are kvm, soft (or tcg) and auto", property.value);
    }
}

static void parse_enable_kvm(const struct context *context)
{
    context->config->accelerator = ACCEL_KVM;
}

static void machine_property(const struct context *context, const struct property *property)
{
    if (!property->key[0] || key_is(property, "type")) {
        if (!strcmp(property->value, "help"))
            exit(puts("Supported machines are:\npc                   Standard PC (i440FX + PIIX) (default)") <
                 0);
        if (strcmp(property->value, "pc") && strncmp(property->value, "pc-i440fx", 9))
            refuse(context, "unsupported machine type; hearth has pc");
    } else if (key_is(property, "accel")) {
        if (!accelerator_set(context->config, property->value))
            refuse(context, "invalid accelerator %s; there are kvm, soft (or tcg) and auto", property->value);
    } else {
        accelerator_property(context, property);
    }
}

static void parse_machine(const struct context *context)
{
    const char *rest = context->value;
    struct property property;
    while (property_next(context, &rest, &property))
        machine_property(context, &property);
}

static void parse_name(const struct context *context)
{
    context->config->name = strncmp(context->value, "guest=", 6) ? context->value : context->value + 6;
}

/* ---- drives */

static void ide_set(const struct context *context, unsigned index, bool cdrom)
{
    if (context->config->ide[index].path)
        refuse(context, "drive with bus=%u, unit=%u (index=%u) exists", index / 2, index % 2, index);
    context->config->ide[index].path = context->value;
    context->config->ide[index].cdrom = cdrom;
}

static void floppy_set(const struct context *context, unsigned index)
{
    if (context->config->floppy[index])
        refuse(context, "drive with bus=0, unit=%u (index=%u) exists", index, index);
    context->config->floppy[index] = context->value;
}

static void parse_fd(const struct context *context)
{
    floppy_set(context, context->option[strlen(context->option) - 1] == 'b');
}

static void parse_hd(const struct context *context)
{
    ide_set(context, (unsigned)(context->option[strlen(context->option) - 1] - 'a'), false);
}

static void parse_cdrom(const struct context *context)
{
    ide_set(context, 2, true);
}

/* ---- boot and firmware */

static const char *boot_letters(const struct context *context, const char *letters)
{
    unsigned seen = 0;
    for (const char *letter = letters; *letter; letter++) {
        if (*letter < 'a' || *letter > 'p')
            refuse(context, "Invalid boot device '%c'", *letter);
        if (seen & 1u << (*letter - 'a'))
            refuse(context, "Boot device '%c' was given twice", *letter);
        seen |= 1u << (*letter - 'a');
    }
    return strdup(letters);
}

static void parse_boot(const struct context *context)
{
    const char *rest = context->value;
    struct property property;

    while (property_next(context, &rest, &property)) {
        if (!property.key[0] || key_is(&property, "order"))
            context->config->boot_order = boot_letters(context, property.value);
        else if (key_is(&property, "once"))
            context->config->boot_once = boot_letters(context, property.value);
        else if (key_is(&property, "menu"))
            context->config->boot_menu = property_switch(context, &property);
        else if (!key_is(&property, "strict"))
            refuse(context, "Invalid parameter '%s'", property.key);
    }
}

static void parse_bios(const struct context *context)
{
    context->config->bios = context->value;
}

static void parse_kernel(const struct context *context)
{
    context->config->kernel = context->value;
}

static void parse_initrd(const struct context *context)
{
    context->config->initrd = context->value;
}

static void parse_append(const struct context *context)
{
    context->config->append = context->value;
}

/* ---- what one sees */

static void parse_display(const struct context *context)
{
    if (!strcmp(context->value, "terminal") || !strcmp(context->value, "curses"))
        context->config->display = DISPLAY_TERMINAL;
    else if (!strcmp(context->value, "none"))
        context->config->display = DISPLAY_NONE;
    else
        refuse(context, "there are the displays terminal and none");
}

static void parse_nographic(const struct context *context)
{
    context->config->nographic = true;
}

static void parse_vga(const struct context *context)
{
    if (strcmp(context->value, "std") && strcmp(context->value, "none"))
        refuse(context, "there are the adapters std and none");
    context->config->no_vga = !strcmp(context->value, "none");
}

static void parse_serial(const struct context *context)
{
    struct machine_config *config = context->config;
    if (config->serials == SERIALS)
        refuse(context, "a PC has %d serial ports", SERIALS);
    config->serial[config->serials++] = context->value;
}

static void parse_monitor(const struct context *context)
{
    context->config->monitor = context->value;
}

static void parse_debugcon(const struct context *context)
{
    context->config->debugcon = context->value;
}

static void parse_global(const struct context *context)
{
    static const char debugcon[] = "isa-debugcon.iobase=";
    char *end;
    if (strncmp(context->value, debugcon, sizeof(debugcon) - 1))
        refuse(context, "only isa-debugcon.iobase is known here");
    unsigned long port = strtoul(context->value + sizeof(debugcon) - 1, &end, 0);
    if (*end || port > UINT16_MAX)
        refuse(context, "Parameter 'iobase' expects a port from 0 to 0xffff");
    context->config->debugcon_port = (uint16_t)port;
}

/* ---- devices and control */

static void parse_device(const struct context *context)
{
    struct machine_config *config = context->config;
    const char *rest = context->value;
    struct property property;

    bool named = property_next(context, &rest, &property) && !property.key[0];
    if (named && (!strcmp(property.value, "help") || !strcmp(property.value, "?")))
        exit(puts("name \"isa-debug-exit\", bus ISA\nname \"pc-testdev\", bus ISA") < 0);
    if (named && !strcmp(property.value, "pc-testdev") && !*rest) {
        config->test_device = true;
        return;
    }
    if (!named || strcmp(property.value, "isa-debug-exit"))
        refuse(context, "'%s' is not a valid device model name; there are isa-debug-exit and pc-testdev",
               property.value);
    config->debug_exit = true;
    while (property_next(context, &rest, &property)) {
        if (key_is(&property, "iobase"))
            config->debug_exit_port = (uint16_t)property_number(context, &property, UINT16_MAX);
        else if (key_is(&property, "iosize"))
            config->debug_exit_size = (uint16_t)property_number(context, &property, 8);
        else
            refuse(context, "Property 'isa-debug-exit.%s' not found", property.key);
    }
    if (!config->debug_exit_size || config->debug_exit_port + config->debug_exit_size > UINT16_MAX + 1)
        refuse(context, "iosize is from 1 to 8 and iobase + iosize at most 0x10000");
}

static void parse_no_reboot(const struct context *context)
{
    context->config->no_reboot = true;
}

static void parse_no_shutdown(const struct context *context)
{
    context->config->no_shutdown = true;
}

static void parse_start_stopped(const struct context *context)
{
    context->config->start_stopped = true;
}

static void parse_nodefaults(const struct context *context)
{
    (void)context; /* hearth adds no device that was not asked for */
}

static void parse_log(const struct context *context)
{
    const char *bad;
    if (!strcmp(context->value, "help") || !strcmp(context->value, "?")) {
        log_items_print();
        exit(0);
    }
    if (!log_parse(context->value, &context->config->log_mask, &bad))
        refuse(context, "no log item '%s'; `-d help` lists them", bad);
}

static void parse_log_file(const struct context *context)
{
    context->config->log_file = context->value;
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

static const struct option {
    const char *name;
    const char *argument; /* NULL: takes none */
    void (*parse)(const struct context *context);
    const char *help; /* NULL: another name of the row above */
} options[] = {
    {NULL, "Machine", NULL, NULL},
    {"m", "SIZE", parse_memory, "guest RAM, default 128M; suffixes k M G T, without one MiB"},
    {"smp", "N", parse_cpus, "number of CPUs, default 1"},
    {"accel", "auto|kvm|soft", parse_accelerator,
     "what runs the guest's code: the kernel's KVM, the software CPU\n(also called tcg), or KVM if it proves "
     "usable (default);\n"
     "kvm takes ,kernel-irqchip=on|off"},
    {"enable-kvm", NULL, parse_enable_kvm, "same as -accel kvm"},
    {"machine", "pc[,accel=]", parse_machine, "the machine; there is pc, a 440FX with PIIX3"},
    {"M", "pc", parse_machine, NULL},
    {"name", "NAME", parse_name, "what to call this guest"},
    {"nodefaults", NULL, parse_nodefaults, "add no devices that were not asked for"},
    {NULL, "Disks and booting", NULL, NULL},
    {"fda", "FILE", parse_fd, "floppy image in drive A; -fdb for B"},
    {"fdb", "FILE", parse_fd, NULL},
    {"hda", "FILE", parse_hd,
     "hard disk image; -hdb, -hdc, -hdd for the others;\nan argument without a dash is -hda"},
    {"hdb", "FILE", parse_hd, NULL},
    {"hdc", "FILE", parse_hd, NULL},
    {"hdd", "FILE", parse_hd, NULL},
    {"cdrom", "FILE", parse_cdrom, "CD image (in the place of -hdc)"},
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
    {"nographic", NULL, parse_nographic, "no display; serial port and monitor share this terminal"},
    {"vga", "std|none", parse_vga, "the display adapter"},
    {"serial", "HOST", parse_serial,
     "what the next serial port is joined to: stdio, mon:stdio, none,\nnull, file:PATH, pty, "
     "unix:PATH,server, tcp:HOST:PORT,server"},
    {"monitor", "HOST", parse_monitor, "where the monitor listens, as -serial"},
    {"debugcon", "HOST", parse_debugcon, "where the debug port (e9h) goes, as -serial"},
    {"global", "isa-debugcon.iobase=PORT", parse_global, "another debug port; SeaBIOS's is 0x402"},
    {NULL, "Control", NULL, NULL},
    {"S", NULL, parse_start_stopped, "do not start the CPUs (`cont` in the monitor does)"},
    {"no-reboot", NULL, parse_no_reboot, "end instead of rebooting"},
    {"no-shutdown", NULL, parse_no_shutdown, "stop instead of ending, so that the state can be looked at"},
    {"device", "isa-debug-exit,iobase=PORT,iosize=N", parse_device,
     "a port by which the guest ends hearth: v gives status 2v+1;\npc-testdev: ports that test programs "
     "drive interrupts with"},
    {"d", "ITEM,...", parse_log, "log these on stderr; `-d help` lists them"},
    {"D", "FILE", parse_log_file, "log there instead"},
    {"help", NULL, parse_help, "this page"},
    {"h", NULL, parse_help, NULL},
    {"version", NULL, parse_version, "version, and what was built in"},
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

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
    for (size_t i = 0; i < OPTIONS; i++) {
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
    for (size_t i = 0; i < OPTIONS; i++)
        if (options[i].name && !strcmp(options[i].name, name))
            return &options[i];
    return NULL;
}

static void defaults_set(struct machine_config *config)
{
    config->ram_size = RAM_DEFAULT_MIB * MIB;
    config->cpus = 1;
    config->debugcon_port = 0xe9;
    config->debug_exit_port = 0x501;
    config->debug_exit_size = 2;
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
            ide_set(&context, 0, false);
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
    if (config->append && !config->kernel)
        die("-append only allowed with -kernel option");
    if (config->initrd && !config->kernel)
        die("-initrd only allowed with -kernel option");
}
