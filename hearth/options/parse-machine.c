/* The machine as a whole, and how it is run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "core/uuid.h"
#include "options/parse.h"

enum { RAM_GRAIN = 8192, SLOTS_MOST = 256 };

/* slots= and maxmem= are looked at as QEMU does; there is no memory that can be plugged in. */
static void check_room(const struct context *context, uint64_t size, uint64_t most, uint64_t slots)
{
    if (slots && !most)
        refuse(context, "slots specified but no max-size");
    if (most && most < size)
        refuse(context,
               "invalid value of maxmem: maximum memory size (%#llx) must be at least the initial memory "
               "size (%#llx)",
               (unsigned long long)most, (unsigned long long)size);
    if (slots && most == size)
        refuse(context,
               "invalid value of maxmem: memory slots were specified but maximum memory size (%#llx) is "
               "equal to the initial memory size (%#llx)",
               (unsigned long long)most, (unsigned long long)size);
    if (slots > SLOTS_MOST)
        refuse(context, "unsupported amount of memory slots: %llu", (unsigned long long)slots);
}

void parse_memory(const struct context *context)
{
    struct settings *settings = value_parse(context, "size");
    uint64_t size = settings_size(settings, "size", MIB, 0);
    uint64_t most = settings_size(settings, "maxmem", MIB, 0);
    uint64_t slots = settings_number(settings, "slots", 0, UINT64_MAX);
    value_done(settings);
    if (!size)
        size = RAM_DEFAULT_MIB * MIB;
    if (size > UINT64_MAX - RAM_GRAIN)
        refuse(context, "ram size too large");
    size = (size + RAM_GRAIN - 1) / RAM_GRAIN * RAM_GRAIN;
    if (size < MIB)
        refuse(context, "a PC needs at least 1 MiB of RAM");
    check_room(context, size, most, slots);
    context->config->ram_size = size;
}

static void accelerator_set(const struct context *context, const char *word)
{
    struct machine_config *config = context->config;
    if (!strcmp(word, "kvm"))
        config->accelerator = ACCEL_KVM;
    else if (!strcmp(word, "soft") || !strcmp(word, "tcg"))
        config->accelerator = ACCEL_SOFT;
    else if (!strcmp(word, "auto") || !strcmp(word, "kvm:tcg") || !strcmp(word, "kvm:soft"))
        config->accelerator = ACCEL_AUTO;
    else
        refuse(context, "invalid accelerator %s; there are kvm, soft (or tcg) and auto", word);
}

/* translate=on|off, or after how many runs of a block. */
static int translate_parse(const struct context *context, const char *word)
{
    char *end;
    long after = strtol(word, &end, 10);
    if (!strcmp(word, "on"))
        return 0;
    if (!strcmp(word, "off"))
        return -1;
    if (*end || end == word || after < 1 || after > 1000000)
        refuse(context, "translate=%s is not on, off or a number of runs", word);
    return after;
}

/* What -accel and -machine share. */
static void accelerator_properties(const struct context *context, struct settings *settings)
{
    const char *word = settings_text(settings, "accel", NULL);
    bool irqchip = settings_switch(settings, "kernel-irqchip", true);
    irqchip = settings_switch(settings, "kernel_irqchip", irqchip);
    const char *translate = settings_text(settings, "translate", "on");
    settings_text(settings, "thread", NULL); /* there is one vCPU thread for each CPU whatever is said */
    bool deterministic = settings_switch(settings, "deterministic", context->config->deterministic);
    value_done(settings);
    if (word)
        accelerator_set(context, word);
    if (deterministic && context->config->accelerator == ACCEL_KVM)
        refuse(context, "deterministic=on is for -accel soft");
    context->config->deterministic = deterministic;
    if (!irqchip)
        context->config->no_irqchip = true;
    if (strcmp(translate, "on"))
        context->config->translate_after = translate_parse(context, translate);
}

void parse_accelerator(const struct context *context)
{
    struct settings *settings = value_parse(context, "accel");
    if (!strcmp(settings_text(settings, "accel", ""), "help"))
        exit(puts("Accelerators supported: kvm soft (also called tcg) auto") < 0);
    accelerator_properties(context, settings);
}

void parse_enable_kvm(const struct context *context)
{
    context->config->accelerator = ACCEL_KVM;
}

void parse_machine(const struct context *context)
{
    struct settings *settings = value_parse(context, "type");
    const char *type = settings_text(settings, "type", "pc");
    if (!strcmp(type, "help"))
        exit(puts("Supported machines are:\npc                   Standard PC (i440FX + PIIX) (default)") < 0);
    if (strcmp(type, "pc") && strncmp(type, "pc-i440fx", 9))
        refuse(context, "unsupported machine type; hearth has pc");
    context->config->memory_backend =
        settings_text(settings, "memory-backend", context->config->memory_backend);
    context->config->no_hpet = !settings_switch(settings, "hpet", !context->config->no_hpet);
    const char *vmport = settings_text(settings, "vmport", "auto");
    context->config->no_vmport = !strcmp(vmport, "off");
    if (strcmp(vmport, "auto") && strcmp(vmport, "on") && strcmp(vmport, "off"))
        refuse(context, "vmport is on, off or auto");
    accelerator_properties(context, settings);
}

void parse_no_hpet(const struct context *context)
{
    context->config->no_hpet = true;
}

void parse_mem_path(const struct context *context)
{
    context->config->mem_path = context->value;
}

void parse_mem_prealloc(const struct context *context)
{
    context->config->mem_prealloc = true;
}

void parse_object(const struct context *context)
{
    settings_append(&context->config->objects, settings_parse(context->option, context->value, "qom-type"));
}

void parse_name(const struct context *context)
{
    struct settings *settings = value_parse(context, "guest");
    context->config->name = settings_text(settings, "guest", NULL);
    settings_switch(settings, "debug-threads", true); /* they always have names */
    value_done(settings);
}

void parse_uuid(const struct context *context)
{
    struct machine_config *config = context->config;
    if (!uuid_parse(context->value, config->uuid_bytes))
        refuse(context, "failed to parse UUID string: wrong format");
    config->uuid = config->uuid_bytes;
}

void parse_smbios(const struct context *context)
{
    settings_append(&context->config->smbios, settings_parse(context->option, context->value, NULL));
}

static bool date_parse(const char *text, int64_t *seconds)
{
    struct tm date = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
    if (!end) {
        date = (struct tm){0};
        end = strptime(text, "%Y-%m-%d", &date);
    }
    if (!end || *end)
        return false;
    *seconds = timegm(&date);
    return true;
}

/* driftfix= is accepted: no tick is lost here that would have to be made up for. */
void parse_rtc(const struct context *context)
{
    struct clock_choice *rtc = &context->config->rtc;
    struct settings *settings = value_parse(context, NULL);
    const char *base = settings_text(settings, "base", "utc"),
               *clock = settings_text(settings, "clock", "host"),
               *fix = settings_text(settings, "driftfix", "none");
    value_done(settings);
    rtc->base = !strcmp(base, "utc")         ? CLOCK_BASE_UTC
                : !strcmp(base, "localtime") ? CLOCK_BASE_LOCAL
                                             : CLOCK_BASE_DATE;
    if (rtc->base == CLOCK_BASE_DATE && !date_parse(base, &rtc->date))
        refuse(context, "invalid datetime format; valid formats: '2006-06-17T16:01:21' or '2006-06-17'");
    rtc->pauses = !strcmp(clock, "vm");
    if (!rtc->pauses && strcmp(clock, "host") && strcmp(clock, "rt"))
        refuse(context, "invalid option value '%s'; clock is host, rt or vm", clock);
    if (strcmp(fix, "none") && strcmp(fix, "slew"))
        refuse(context, "invalid option value '%s'; driftfix is none or slew", fix);
}

void parse_fw_cfg(const struct context *context)
{
    settings_append(&context->config->fw_cfg, settings_parse(context->option, context->value, "name"));
}

static bool one_of(const char *word, const char *first, const char *second)
{
    return !strcmp(word, first) || !strcmp(word, second);
}

static void watchdog_set(const struct context *context, const char *word)
{
    static const char *const words[] = {
        [WATCHDOG_RESET] = "reset",   [WATCHDOG_SHUTDOWN] = "shutdown", [WATCHDOG_POWER_OFF] = "poweroff",
        [WATCHDOG_PAUSE] = "pause",   [WATCHDOG_DEBUG] = "debug",       [WATCHDOG_NONE] = "none",
        [WATCHDOG_NMI] = "inject-nmi"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], word))
            continue;
        context->config->watchdog = (enum watchdog_action)i;
        return;
    }
    refuse(context, "the watchdog's action is reset, shutdown, poweroff, inject-nmi, pause, debug or none");
}

void parse_watchdog_action(const struct context *context)
{
    watchdog_set(context, context->value);
}

/* panic= is accepted: there is no device that would tell of one. */
void parse_action(const struct context *context)
{
    struct machine_config *config = context->config;
    struct settings *settings = value_parse(context, NULL);
    const char *reboot = settings_text(settings, "reboot", config->no_reboot ? "shutdown" : "reset"),
               *shutdown = settings_text(settings, "shutdown", config->no_shutdown ? "pause" : "poweroff"),
               *watchdog = settings_text(settings, "watchdog", NULL);
    settings_text(settings, "panic", NULL);
    value_done(settings);
    if (!one_of(reboot, "reset", "shutdown"))
        refuse(context, "reboot is reset or shutdown");
    if (!one_of(shutdown, "poweroff", "pause"))
        refuse(context, "shutdown is poweroff or pause");
    config->no_reboot = !strcmp(reboot, "shutdown");
    config->no_shutdown = !strcmp(shutdown, "pause");
    if (watchdog)
        watchdog_set(context, watchdog);
}

void parse_nodefaults(const struct context *context)
{
    context->config->no_defaults = true;
}

void parse_daemonize(const struct context *context)
{
    context->config->daemonize = true;
}

void parse_pidfile(const struct context *context)
{
    context->config->pidfile = context->value;
}

void parse_no_reboot(const struct context *context)
{
    context->config->no_reboot = true;
}

void parse_no_shutdown(const struct context *context)
{
    context->config->no_shutdown = true;
}

void parse_start_stopped(const struct context *context)
{
    context->config->start_stopped = true;
}

void parse_log(const struct context *context)
{
    const char *bad;
    if (!strcmp(context->value, "help") || !strcmp(context->value, "?")) {
        log_items_print();
        exit(0);
    }
    if (!log_parse(context->value, &context->config->log_mask, &bad))
        refuse(context, "no log item '%s'; `-d help` lists them", bad);
}

void parse_log_file(const struct context *context)
{
    context->config->log_file = context->value;
}
