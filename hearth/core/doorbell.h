/*
 * A doorbell is a place that the guest writes to only to say that there is something to do. Where the engine can, it
 * notes the write and lets the guest go on at once; `ring` is called soon after by the event loop.
 */
#ifndef CORE_DOORBELL_H
#define CORE_DOORBELL_H

#include <stdint.h>

struct doorbell;

struct doorbells {
    void *opaque;
    /* Takes writes of any value and width at this address of the MMIO map from the map. NULL: the engine cannot, writes come
     * through the map as ever. `ring` runs with the machine lock held. */
    struct doorbell *(*create)(void *opaque, uint64_t address, void (*ring)(void *device), void *device);
    void (*destroy)(void *opaque, struct doorbell *doorbell);
};

#endif
