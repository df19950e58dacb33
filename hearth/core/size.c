#include "core/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool suffix_shift(char suffix, unsigned *shift)
{
    static const char letters[] = "bkmgtpe";
    const char *at = strchr(letters, tolower((unsigned char)suffix));
    if (!at || !*at)
        return false;
    *shift = 10 * (unsigned)(at - letters);
    return true;
}

/* Adds the fraction .ddd of the unit; 128 bits hold 18 digits of it exactly. */
static bool fraction_parse(const char **text, uint64_t *numerator, uint64_t *denominator)
{
    *numerator = 0;
    *denominator = 1;
    if (**text != '.')
        return true;
    for ((*text)++; isdigit((unsigned char)**text); (*text)++) {
        if (*denominator > 100000000000000000ull)
            return false;
        *numerator = *numerator * 10 + (uint64_t)(**text - '0');
        *denominator *= 10;
    }
    return true;
}

bool size_parse(const char *text, uint64_t unit, uint64_t *bytes)
{
    uint64_t whole = 0, numerator, denominator;
    unsigned shift;

    if (!isdigit((unsigned char)*text))
        return false;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        char *end;
        whole = strtoull(text + 2, &end, 16);
        if (end == text + 2)
            return false;
        text = end;
    } else {
        for (; isdigit((unsigned char)*text); text++)
            if (__builtin_mul_overflow(whole, 10ull, &whole) ||
                __builtin_add_overflow(whole, (uint64_t)(*text - '0'), &whole))
                return false;
    }
    if (!fraction_parse(&text, &numerator, &denominator))
        return false;
    if (*text) {
        if (text[1] || !suffix_shift(*text, &shift))
            return false;
        unit = 1ull << shift;
    }
    unsigned __int128 total =
        (unsigned __int128)whole * unit + (unsigned __int128)numerator * unit / denominator;
    *bytes = (uint64_t)total;
    return total == *bytes;
}
