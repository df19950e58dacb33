/*
 * Pictures as files: PPM byte for byte, PNG by its signature and header (PNG specification, section 5).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "display/png.h"

static char folder[] = "/tmp/hearth-png-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct surface picture(void)
{
    struct surface surface = {0};
    surface_resize(&surface, 3, 2);
    static const uint32_t pixels[6] = {0xff0000, 0x00ff00, 0x0000ff, 0x010203, 0, 0xffffff};
    memcpy(surface.pixels, pixels, sizeof(pixels));
    return surface;
}

static size_t read_back(const char *name, uint8_t *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t count = fread(bytes, 1, size, file);
    fclose(file);
    unlink(path);
    return count;
}

static bool put(const char *name, enum picture_format format, char *error, size_t size)
{
    char path[256];
    struct surface surface = picture();
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    bool written = picture_write(&surface, path, format, error, size);
    surface_free(&surface);
    return written;
}

static void test_ppm(void **state)
{
    (void)state;
    char error[256];
    uint8_t bytes[128];
    static const uint8_t expected[] = "P6\n3 2\n255\n\xff\0\0\0\xff\0\0\0\xff\1\2\3\0\0\0\xff\xff\xff";
    assert_true(put("a", PICTURE_BY_NAME, error, sizeof(error)));
    assert_int_equal(read_back("a", bytes, sizeof(bytes)), sizeof(expected) - 1);
    assert_memory_equal(bytes, expected, sizeof(expected) - 1);
    assert_true(put("b.png", PICTURE_PPM, error, sizeof(error)));
    assert_int_equal(read_back("b.png", bytes, sizeof(bytes)), sizeof(expected) - 1);
}

static void test_png(void **state)
{
    (void)state;
    char error[256];
    uint8_t bytes[512];
#ifdef HAVE_PNG
    static const uint8_t expected[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\3\0\0\0\2\x08\2";
    assert_true(put("c.PNG", PICTURE_BY_NAME, error, sizeof(error)));
    size_t count = read_back("c.PNG", bytes, sizeof(bytes));
    assert_true(count > sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected) - 1);
    assert_memory_equal(bytes + count - 8, "IEND", 4);
#else
    (void)bytes;
    assert_false(put("c.png", PICTURE_BY_NAME, error, sizeof(error)));
    assert_non_null(strstr(error, "libpng"));
#endif
}

static void test_errors(void **state)
{
    (void)state;
    char error[256] = "";
    struct surface surface = picture();
    assert_false(put("no/such/folder.ppm", PICTURE_BY_NAME, error, sizeof(error)));
    assert_non_null(strstr(error, "No such file"));
    enum picture_format format;
    assert_true(picture_format_named("png", &format));
    assert_false(picture_format_named("gif", &format));
    surface_free(&surface);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ppm),
        cmocka_unit_test(test_png),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
