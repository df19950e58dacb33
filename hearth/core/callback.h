/*
 * Something a device asks for without knowing who does it: a reset, the power to go off. All zeros: nobody does.
 */
#ifndef CORE_CALLBACK_H
#define CORE_CALLBACK_H

struct callback {
    void (*call)(void *opaque);
    void *opaque;
};

/* Machine lock held. */
static inline void callback_call(const struct callback *callback)
{
    if (callback->call)
        callback->call(callback->opaque);
}

#endif
