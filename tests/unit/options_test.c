#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

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

static void the_documents_lines_are_understood(void **state)
{
    (void)state;
    struct machine_config config;
    PARSE(config, "-m", "2048", "-boot", "order=cd", "-hda", "ubuntu1604.img", "-cdrom", "ubuntu-16.04.iso");
    assert_int_equal(config.ram_size, 2048ull * MIB);
    assert_string_equal(config.boot_order, "cd");
    assert_string_equal(config.ide[0].path, "ubuntu1604.img");
    assert_string_equal(config.ide[2].path, "ubuntu-16.04.iso");
    assert_true(config.ide[2].cdrom);
    options_free(&config);
    PARSE(config, "ubuntu1604.img", "-monitor", "stdio");
    assert_string_equal(config.ide[0].path, "ubuntu1604.img");
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
        cmocka_unit_test(sizes_are_read_as_qemu_does), cmocka_unit_test(the_documents_lines_are_understood),
        cmocka_unit_test(devices_keep_their_settings), cmocka_unit_test(ram_is_rounded_up_to_8_kib),
        cmocka_unit_test(every_option_is_in_the_help),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
