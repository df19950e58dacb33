/* The machine as a whole, and how it is run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "options/parse.h"

enum { RAM_GRAIN = 8192, CPUS_MOST = 255 };

void parse_memory(const struct context *context)
{
    struct settings *settings = value_parse(context, "size");
    uint64_t size = settings_size(settings, "size", MIB, 0);
    value_done(settings);
    if (!size)
        size = RAM_DEFAULT_MIB * MIB;
    if (size > UINT64_MAX - RAM_GRAIN)
        refuse(context, "ram size too large");
    size = (size + RAM_GRAIN - 1) / RAM_GRAIN * RAM_GRAIN;
    if (size < MIB)
        refuse(context, "a PC needs at least 1 MiB of RAM");
    context->config->ram_size = size;
}

void parse_cpus(const struct context *context)
{
    struct settings *settings = value_parse(context, "cpus");
    const char *text = settings_text(settings, "cpus", "1");
    char *end;
    value_done(settings);
    unsigned long cpus = strtoul(text, &end, 10);
    if (*end || *text < '0' || *text > '9')
        refuse(context, "Parameter 'smp.cpus' expects integer");
    if (!cpus)
        refuse(context, "Invalid CPU topology: CPU topology parameters must be greater than zero");
    if (cpus > CPUS_MOST)
        refuse(context, "Invalid SMP CPUs %lu. The max CPUs supported by machine 'pc' is %d", cpus,
               CPUS_MOST);
    context->config->cpus = (unsigned)cpus;
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

/* What -accel and -machine share. */
static void accelerator_properties(const struct context *context, struct settings *settings)
{
    const char *word = settings_text(settings, "accel", NULL);
    bool irqchip = settings_switch(settings, "kernel-irqchip", true);
    irqchip = settings_switch(settings, "kernel_irqchip", irqchip);
    settings_text(settings, "thread", NULL); /* there is one vCPU thread for each CPU whatever is said */
    value_done(settings);
    if (word)
        accelerator_set(context, word);
    if (!irqchip)
        context->config->no_irqchip = true;
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
    accelerator_properties(context, settings);
}

void parse_name(const struct context *context)
{
    struct settings *settings = value_parse(context, "guest");
    context->config->name = settings_text(settings, "guest", NULL);
    settings_switch(settings, "debug-threads", true); /* they always have names */
    value_done(settings);
}

void parse_nodefaults(const struct context *context)
{
    (void)context; /* hearth adds no device that was not asked for */
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
