/* UUIDs as text: 550e8400-e29b-41d4-a716-446655440000. */
#ifndef CORE_UUID_H
#define CORE_UUID_H

#include <stdbool.h>
#include <stdint.h>

enum { UUID_SIZE = 16 };

/* Into bytes in the order in which they are written. */
bool uuid_parse(const char *text, uint8_t uuid[UUID_SIZE]);

#endif
