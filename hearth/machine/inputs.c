#include "machine/inputs.h"

#include <string.h>

static void inputs_key(void *device, uint16_t key, bool down)
{
    const struct inputs *inputs = device;
    for (unsigned i = inputs->count; i-- > 0;)
        if (inputs->part[i].key) {
            inputs->part[i].key(inputs->part[i].device, key, down);
            return;
        }
}

static bool wants_absolute(const struct input_sink *part)
{
    return part->wants_absolute && part->wants_absolute(part->device);
}

/* A part that may want positions never takes steps. */
static bool takes(const struct input_sink *part, const struct pointer_event *event)
{
    return event->absolute ? wants_absolute(part) : !part->wants_absolute;
}

static void inputs_pointer(void *device, const struct pointer_event *event)
{
    struct inputs *inputs = device;
    inputs->buttons = event->buttons;
    for (unsigned i = inputs->count; i-- > 0;)
        if (inputs->part[i].pointer && takes(&inputs->part[i], event)) {
            inputs->part[i].pointer(inputs->part[i].device, event);
            return;
        }
}

static bool inputs_want_absolute(void *device)
{
    const struct inputs *inputs = device;
    for (unsigned i = 0; i < inputs->count; i++)
        if (wants_absolute(&inputs->part[i]))
            return true;
    return false;
}

void inputs_init(struct inputs *inputs)
{
    inputs->count = inputs->buttons = 0;
    inputs->sink = (struct input_sink){inputs, inputs_key, inputs_pointer, inputs_want_absolute};
}

bool inputs_add(struct inputs *inputs, const struct input_sink *part)
{
    if (inputs->count == INPUTS_MOST)
        return false;
    inputs->part[inputs->count++] = *part;
    return true;
}

void inputs_remove(struct inputs *inputs, const void *device)
{
    for (unsigned i = 0; i < inputs->count; i++)
        if (inputs->part[i].device == device) {
            inputs->count--;
            memmove(&inputs->part[i], &inputs->part[i + 1], (inputs->count - i) * sizeof(inputs->part[0]));
            return;
        }
}
