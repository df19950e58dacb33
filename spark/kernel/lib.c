/* lib.c: text and numbers. Left out: everything that spark has no use for, floating point above all. */
#include "console.h"
#include "lib.h"

PUBLIC int memory_compare(const void *a, const void *b, u32 size)
{
    const u8 *x = a, *y = b;
    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

PUBLIC u32 text_length(const char *text)
{
    u32 length = 0;
    while (text[length])
        length++;
    return length;
}

PUBLIC int text_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

PUBLIC int text_begins(const char *text, const char *start)
{
    while (*start && *text == *start)
        text++, start++;
    return !*start;
}

PRIVATE int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

PUBLIC int text_to_hex(const char *text, u32 *value)
{
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    int digits = 0;
    *value = 0;
    for (; digit_value(*text) >= 0; text++, digits++) {
        if (*value >> 28)
            return 0;
        *value = *value << 4 | digit_value(*text);
    }
    if (*text == 'h' || *text == 'H')
        text++;
    return digits && !*text;
}

/* The CPU divides 64 bits by 32 only if the quotient has 32, so do it the way it is done on paper: high digit first. */
PUBLIC u64 divide_u64(u64 dividend, u32 divisor, u32 *remainder)
{
    u32 high = dividend >> 32, low = dividend;
    u32 high_quotient = high / divisor, rest = high % divisor, quotient;
    __asm__("divl %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(rest), "r"(divisor) : "cc");
    if (remainder)
        *remainder = rest;
    return (u64)high_quotient << 32 | quotient;
}

/* ---- kprintf */

struct field {
    int left, zero, width, wide;
};

PRIVATE void put_padding(int count, char c)
{
    while (count-- > 0)
        console_put(c);
}

PRIVATE void put_field(const struct field *field, const char *text, u32 length)
{
    int padding = field->width - (int)length;
    if (!field->left)
        put_padding(padding, field->zero ? '0' : ' ');
    while (length--)
        console_put(*text++);
    if (field->left)
        put_padding(padding, ' ');
}

PRIVATE void put_number(const struct field *field, u64 value, u32 base, int negative)
{
    char digits[24], *at = digits + sizeof digits;
    do {
        u32 digit;
        value = divide_u64(value, base, &digit);
        *--at = "0123456789ABCDEF"[digit];
    } while (value);
    if (negative)
        *--at = '-';
    put_field(field, at, digits + sizeof digits - at);
}

PRIVATE const char *parse_field(const char *format, struct field *field)
{
    field->left = field->zero = field->width = field->wide = 0;
    for (; *format == '-' || *format == '0'; format++)
        *(*format == '-' ? &field->left : &field->zero) = 1;
    for (; *format >= '0' && *format <= '9'; format++)
        field->width = field->width * 10 + *format - '0';
    for (; *format == 'l'; format++)
        field->wide++;
    return format;
}

PRIVATE void put_decimal(const struct field *field, __builtin_va_list *arguments)
{
    int value = __builtin_va_arg(*arguments, int);
    put_number(field, value < 0 ? -(u32)value : (u32)value, 10, value < 0);
}

PUBLIC void kprintf(const char *format, ...)
{
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    console_lock();
    for (; *format; format++) {
        if (*format != '%') {
            console_put(*format);
            continue;
        }
        struct field field;
        format = parse_field(format + 1, &field);
        if (*format == 's') {
            const char *text = __builtin_va_arg(arguments, const char *);
            put_field(&field, text, text_length(text));
        } else if (*format == 'c') {
            char c = __builtin_va_arg(arguments, int);
            put_field(&field, &c, 1);
        } else if (*format == 'd') {
            put_decimal(&field, &arguments);
        } else if (*format == 'u' || *format == 'x' || *format == 'X' || *format == 'p') {
            u64 value = field.wide == 2 ? __builtin_va_arg(arguments, u64) : __builtin_va_arg(arguments, u32);
            put_number(&field, value, *format == 'u' ? 10 : 16, 0);
        } else {
            console_put(*format);
        }
    }
    console_unlock();
    __builtin_va_end(arguments);
}
