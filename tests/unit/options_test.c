#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/settings.h"
#include "options/options.h"

static void sizes_are_read_as_qemu_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"128", 128ull * MIB},
                {"1G", 1024ull * MIB},
                {"1g", 1024ull * MIB},
                {"1.5G", 1536ull * MIB},
                {"512k", 512 * 1024},
                {"4096b", 4096},
                {"0", 0},
                {"0x10", 16ull * MIB},
                {"2T", 2ull << 40}};
    static const char *const bad[] = {
        "",    "foo", "-1",  "512MB", "1 G",  "1..5G", "M", "99999999999999999999",
        "20E", "0x",  " 12", "1G ",   "1.5.2"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 1;
        assert_true(size_parse(good[i].text, MIB, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes;
        if (size_parse(bad[i], MIB, &bytes))
            fail_msg("'%s' was taken for %llu bytes", bad[i], (unsigned long long)bytes);
    }
}

static void parse(struct machine_config *config, int count, char **arguments)
{
    options_parse(config, count, arguments);
}

#define PARSE(config, ...)                                                                                   \
    parse(&config, (int)(sizeof((char *[]){"hearth", __VA_ARGS__}) / sizeof(char *)),                        \
          (char *[]){"hearth", __VA_ARGS__})

static void assert_drive(struct settings *drive, const char *file, const char *interface, const char *index,
                         const char *media)
{
    assert_non_null(drive);
    assert_string_equal(settings_text(drive, "file", ""), file);
    assert_string_equal(settings_text(drive, "if", ""), interface);
    assert_string_equal(settings_text(drive, "index", ""), index);
    assert_string_equal(settings_text(drive, "media", ""), media);
    assert_null(settings_error(drive));
}

static void the_documents_lines_are_understood(void **state)
{
    (void)state;
    struct machine_config config;
    PARSE(config, "-m", "2048", "-boot", "order=cd", "-hda", "ubuntu1604.img", "-cdrom", "ubuntu-16.04.iso");
    assert_int_equal(config.ram_size, 2048ull * MIB);
    assert_string_equal(config.boot_order, "cd");
    assert_drive(config.drives, "ubuntu1604.img", "ide", "0", "disk");
    assert_drive(settings_next(config.drives), "ubuntu-16.04.iso", "ide", "2", "cdrom");
    options_free(&config);
    PARSE(config, "ubuntu1604.img", "-monitor", "stdio");
    assert_drive(config.drives, "ubuntu1604.img", "ide", "0", "disk");
    assert_string_equal(config.monitor, "stdio");
    assert_int_equal(config.ram_size, 128ull * MIB);
    options_free(&config);
}

static void devices_keep_their_settings(void **state)
{
    (void)state;
    struct machine_config config;
    PARSE(config, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-accel", "tcg", "--no-reboot", "-S",
          "-device", "pc-testdev");
    struct settings *device = config.devices;
    assert_string_equal(settings_text(device, "driver", ""), "isa-debug-exit");
    assert_int_equal(settings_number(device, "iobase", 0, 0xffff), 0xf4);
    assert_string_equal(
        settings_error(device),
        "-device isa-debug-exit,iobase=0xf4,iosize=0x04: Property 'isa-debug-exit.iosize' not found");
    assert_string_equal(settings_text(settings_next(device), "driver", ""), "pc-testdev");
    assert_int_equal(config.accelerator, ACCEL_SOFT);
    assert_true(config.no_reboot);
    assert_true(config.start_stopped);
    options_free(&config);
}

static void character_devices_are_looked_up_by_name(void **state)
{
    (void)state;
    struct machine_config config;
    PARSE(config, "-serial", "chardev:console", "-mon", "chardev=console", "-mon", "chardev=q,mode=control",
          "-chardev", "stdio,id=console,signal=off,mux=on", "-chardev",
          "socket,id=q,path=/tmp/q.sock,server=on,wait=off");
    assert_string_equal(config.serial[0], "chardev:console");
    assert_string_equal(config.monitor, "chardev:console");
    assert_string_equal(config.qmp[0], "chardev:q");
    assert_int_equal(config.qmps, 1);
    assert_string_equal(settings_text(settings_find(config.chardevs, "q"), "path", ""), "/tmp/q.sock");
    options_free(&config);
}

static void ram_is_rounded_up_to_8_kib(void **state)
{
    (void)state;
    struct machine_config config;
    PARSE(config, "-m", "1048577b");
    assert_int_equal(config.ram_size, 1048576 + 8192);
    options_free(&config);
    PARSE(config, "-m", "0");
    assert_int_equal(config.ram_size, 128ull * MIB);
    options_free(&config);
    PARSE(config, "-m", "size=1G");
    assert_int_equal(config.ram_size, 1024ull * MIB);
    options_free(&config);
}

/* What hearth says before it ends, on stderr; the last line without its newline. */
static void refusal(char *text, size_t size, const char *option, const char *value)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct machine_config config;
        dup2(ends[1], STDERR_FILENO);
        options_parse(&config, 3, (char *[]){"hearth", (char *)option, (char *)value});
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], text + length, size - 1 - length)) > 0;)
        length += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    text[length ? length - 1 : 0] = '\0';
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 1)
        fail_msg("%s %s was taken", option, value);
}

static void refusals(const char *option, const char *const cases[][2])
{
    for (; (*cases)[0]; cases++) {
        char text[600], expected[600];
        refusal(text, sizeof(text), option, (*cases)[0]);
        snprintf(expected, sizeof(expected), "hearth: %s %s: %s", option, (*cases)[0], (*cases)[1]);
        assert_string_equal(text, expected);
    }
}

static void memory_that_makes_no_sense(void **state)
{
    static const char *const cases[][2] = {
        {"1G,slots=2", "slots specified but no max-size"},
        {"1G,maxmem=512M", "invalid value of maxmem: maximum memory size (0x20000000) must be at least the "
                           "initial memory size (0x40000000)"},
        {"1G,maxmem=1G,slots=1", "invalid value of maxmem: memory slots were specified but maximum memory "
                                 "size (0x40000000) is equal to the initial memory size (0x40000000)"},
        {"1G,slots=300,maxmem=2G", "unsupported amount of memory slots: 300"},
        {"1G,foo=1", "Invalid parameter 'foo'"},
        {NULL, NULL},
    };
    (void)state;
    refusals("-m", cases);
}

static void cpus_that_make_no_sense(void **state)
{
    static const char *const cases[][2] = {
        {"4,cores=3", "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets (1) * dies "
                      "(1) * cores (3) * threads (1) != maxcpus (4)"},
        {"4,maxcpus=2", "Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (1) * "
                        "dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)"},
        {"4,sockets=2,cores=4", "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets "
                                "(2) * dies (1) * cores (4) * threads (0) != maxcpus (4)"},
        {"300", "Invalid SMP CPUs 300. The max CPUs supported by machine 'pc-i440fx-7.2' is 255"},
        {"1,maxcpus=300", "Invalid SMP CPUs 300. The max CPUs supported by machine 'pc-i440fx-7.2' is 255"},
        {"x", "Parameter 'smp.cpus' expects integer"},
        {"4.5", "Parameter 'smp.cpus' expects integer"},
        {"4,cores=", "Parameter 'smp.cores' expects integer"},
        {"99999999999999999999", "Parameter 'smp.cpus' expects integer"},
        {"4,foo=1", "Parameter 'smp.foo' is unexpected"},
        {"0", "Invalid CPU topology: CPU topology parameters must be greater than zero"},
        {"4,threads=0", "Invalid CPU topology: CPU topology parameters must be greater than zero"},
        {"-1", "Invalid CPU topology: CPU topology parameters must be greater than zero"},
        {"4,clusters=2", "clusters not supported by this machine's CPU topology"},
        {"255,sockets=85", "the APIC identifiers, with a field of whole bits for each level, would go up to "
                           "338, and 254 is the highest; counts that are powers of two waste none"},
        {NULL, NULL},
    };
    (void)state;
    refusals("-smp", cases);
    char text[600];
    refusal(text, sizeof(text), "-smp", "4,sockets=32768,cores=32768,threads=32768,dies=32768");
    assert_non_null(strstr(text, "!= maxcpus (4)"));
}

static void missing_counts_are_worked_out(void **state)
{
    static const struct {
        const char *value;
        unsigned cpus, most, sockets, dies, cores, threads;
    } cases[] = {
        {"4,maxcpus=8,sockets=2,cores=2,threads=2", 4, 8, 2, 1, 2, 2}, /* the document's */
        {"4", 4, 4, 1, 1, 4, 1},
        {"255", 255, 255, 1, 1, 255, 1},
        {"maxcpus=6", 6, 6, 1, 1, 6, 1},
        {"8,threads=2", 8, 8, 1, 1, 4, 2},
        {"8,sockets=2", 8, 8, 2, 1, 4, 1},
        {"8,cores=2", 8, 8, 4, 1, 2, 1},
        {"8,cores=2,threads=2", 8, 8, 2, 1, 2, 2},
        {"8,cores=2,sockets=2", 8, 8, 2, 1, 2, 2},
        {"8,dies=2,sockets=2", 8, 8, 2, 2, 2, 1},
        {"2,maxcpus=6,sockets=3", 2, 6, 3, 1, 2, 1},
        {"sockets=2,cores=3", 6, 6, 2, 1, 3, 1},
        {"threads=2", 2, 2, 1, 1, 1, 2},
        {"cpus=0x10", 16, 16, 1, 1, 16, 1},
        {"", 1, 1, 1, 1, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct machine_config config;
        PARSE(config, "-smp", (char *)cases[i].value);
        assert_int_equal(config.cpus, cases[i].cpus);
        assert_int_equal(config.cpus_most, cases[i].most);
        assert_int_equal(config.topology.sockets, cases[i].sockets);
        assert_int_equal(config.topology.dies, cases[i].dies);
        assert_int_equal(config.topology.cores, cases[i].cores);
        assert_int_equal(config.topology.threads, cases[i].threads);
        options_free(&config);
    }
}

static void every_option_is_in_the_help(void **state)
{
    (void)state;
    char *page = NULL;
    size_t length;
    FILE *out = open_memstream(&page, &length);
    options_help(out, "hearth");
    fclose(out);
    static const char *const options[] = {"-m ",        "-smp ",  "-accel ",   "-fda ",       "-hda ",
                                          "-cdrom ",    "-boot ", "-display ", "-serial ",    "-monitor ",
                                          "-debugcon ", "-bios ", "-S ",       "-no-reboot ", "-no-shutdown ",
                                          "-d ",        "-name ", "-version ", "-help ",      "-device "};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (!strstr(page, options[i]))
            fail_msg("%s is not in the help", options[i]);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(character_devices_are_looked_up_by_name),
        cmocka_unit_test(sizes_are_read_as_qemu_does),
        cmocka_unit_test(the_documents_lines_are_understood),
        cmocka_unit_test(devices_keep_their_settings),
        cmocka_unit_test(ram_is_rounded_up_to_8_kib),
        cmocka_unit_test(memory_that_makes_no_sense),
        cmocka_unit_test(cpus_that_make_no_sense),
        cmocka_unit_test(missing_counts_are_worked_out),
        cmocka_unit_test(every_option_is_in_the_help),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
