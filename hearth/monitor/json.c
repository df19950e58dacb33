/*
 * jansson (libjansson4), loaded when the first QMP monitor is made. Its header's own functions stand here under their own names
 * and pass on, so that the inline functions of the header and our code read as if it were linked.
 */
#include "monitor/json.h"

#ifdef HAVE_JANSSON

#include <stdarg.h>
#include <string.h>

#include "host/library.h"

/* Filled once by json_open(); the library is there for the whole process. */
static struct {
    __typeof__(&json_object) object;
    __typeof__(&json_array) array;
    __typeof__(&json_string) string;
    __typeof__(&json_integer) integer;
    __typeof__(&json_true) true_value;
    __typeof__(&json_false) false_value;
    __typeof__(&json_delete) delete_value;
    __typeof__(&json_object_get) object_get;
    __typeof__(&json_object_set_new) object_set_new;
    __typeof__(&json_object_iter) object_iter;
    __typeof__(&json_object_iter_next) object_iter_next;
    __typeof__(&json_object_iter_key) object_iter_key;
    __typeof__(&json_object_iter_value) object_iter_value;
    __typeof__(&json_object_key_to_iter) object_key_to_iter;
    __typeof__(&json_array_size) array_size;
    __typeof__(&json_array_get) array_get;
    __typeof__(&json_array_append_new) array_append_new;
    __typeof__(&json_string_value) string_value;
    __typeof__(&json_integer_value) integer_value;
    __typeof__(&json_vpack_ex) vpack_ex;
    __typeof__(&json_loadb) loadb;
    __typeof__(&json_dumps) dumps;
} jansson;

bool json_open(char *error, size_t error_size)
{
    return jansson.dumps ||
           library_load(
               "libjansson.so.4",
               LIBRARY_SYMBOLS(
                   {"json_object", (void **)&jansson.object}, {"json_array", (void **)&jansson.array},
                   {"json_string", (void **)&jansson.string}, {"json_integer", (void **)&jansson.integer},
                   {"json_true", (void **)&jansson.true_value}, {"json_false", (void **)&jansson.false_value},
                   {"json_delete", (void **)&jansson.delete_value},
                   {"json_object_get", (void **)&jansson.object_get},
                   {"json_object_set_new", (void **)&jansson.object_set_new},
                   {"json_object_iter", (void **)&jansson.object_iter},
                   {"json_object_iter_next", (void **)&jansson.object_iter_next},
                   {"json_object_iter_key", (void **)&jansson.object_iter_key},
                   {"json_object_iter_value", (void **)&jansson.object_iter_value},
                   {"json_object_key_to_iter", (void **)&jansson.object_key_to_iter},
                   {"json_array_size", (void **)&jansson.array_size},
                   {"json_array_get", (void **)&jansson.array_get},
                   {"json_array_append_new", (void **)&jansson.array_append_new},
                   {"json_string_value", (void **)&jansson.string_value},
                   {"json_integer_value", (void **)&jansson.integer_value},
                   {"json_vpack_ex", (void **)&jansson.vpack_ex}, {"json_loadb", (void **)&jansson.loadb},
                   {"json_dumps", (void **)&jansson.dumps}),
               error, error_size);
}

json_t *json_object(void)
{
    return jansson.object();
}

json_t *json_array(void)
{
    return jansson.array();
}

json_t *json_string(const char *value)
{
    return jansson.string(value);
}

json_t *json_integer(json_int_t value)
{
    return jansson.integer(value);
}

json_t *json_true(void)
{
    return jansson.true_value();
}

json_t *json_false(void)
{
    return jansson.false_value();
}

void json_delete(json_t *json)
{
    jansson.delete_value(json);
}

json_t *json_object_get(const json_t *object, const char *key)
{
    return jansson.object_get(object, key);
}

int json_object_set_new(json_t *object, const char *key, json_t *value)
{
    return jansson.object_set_new(object, key, value);
}

void *json_object_iter(json_t *object)
{
    return jansson.object_iter(object);
}

void *json_object_iter_next(json_t *object, void *iter)
{
    return jansson.object_iter_next(object, iter);
}

const char *json_object_iter_key(void *iter)
{
    return jansson.object_iter_key(iter);
}

json_t *json_object_iter_value(void *iter)
{
    return jansson.object_iter_value(iter);
}

void *json_object_key_to_iter(const char *key)
{
    return jansson.object_key_to_iter(key);
}

size_t json_array_size(const json_t *array)
{
    return jansson.array_size(array);
}

json_t *json_array_get(const json_t *array, size_t index)
{
    return jansson.array_get(array, index);
}

int json_array_append_new(json_t *array, json_t *value)
{
    return jansson.array_append_new(array, value);
}

const char *json_string_value(const json_t *string)
{
    return jansson.string_value(string);
}

json_int_t json_integer_value(const json_t *integer)
{
    return jansson.integer_value(integer);
}

json_t *json_pack(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    json_t *json = jansson.vpack_ex(NULL, 0, format, arguments);
    va_end(arguments);
    return json;
}

json_t *json_loadb(const char *buffer, size_t length, size_t flags, json_error_t *error)
{
    return jansson.loadb(buffer, length, flags, error);
}

char *json_dumps(const json_t *json, size_t flags)
{
    return jansson.dumps(json, flags);
}

json_t *json_text(const char *text)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    char *plain = strdup(text);
    for (char *at = plain; *at; at++)
        if (*at & 0x80)
            *at = '?';
    json = json_string(plain);
    free(plain);
    return json;
}

#endif
