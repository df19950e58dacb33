#include "core/uuid.h"

#include <ctype.h>
#include <string.h>

static bool is_dash_place(unsigned at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

bool uuid_parse(const char *text, uint8_t uuid[UUID_SIZE])
{
    enum { LENGTH = 36 };
    unsigned nibble = 0;
    if (strlen(text) != LENGTH)
        return false;
    for (unsigned i = 0; i < LENGTH; i++) {
        char digit = (char)tolower((unsigned char)text[i]);
        if (is_dash_place(i) ? digit != '-' : !isxdigit((unsigned char)digit))
            return false;
        if (is_dash_place(i))
            continue;
        unsigned value = (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        uuid[nibble / 2] = (uint8_t)(nibble % 2 ? uuid[nibble / 2] | value : value << 4);
        nibble++;
    }
    return true;
}
