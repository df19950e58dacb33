/*
 * pc-testdev, which kvm-unit-tests' programs look for: four bytes of port space that keep what is written, at E0h and
 * again, byte by byte, at E8h; interrupt lines at 2000h; 64 KiB of memory without side effects at FF000000h.
 *
 * Left out: E4h, "flush this page", accepts an address and has nothing to do, since no page of the guest is ever taken
 * away from it here.
 * Source: kvm-unit-tests, README and x86/README, and what its programs access.
 */
#include "devices/testdev.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    DATA = 0xe0,
    FLUSH = 0xe4,
    DATA_BYTES = 0xe8,
    DATA_SIZE = 4,
    LINES = 0x2000,
    MEMORY_SIZE = 0x10000,
};
#define MEMORY 0xff000000u

struct testdev {
    struct bus *ports, *mmio;
    struct irq_line lines[TESTDEV_LINES];
    uint8_t data[DATA_SIZE];
    uint8_t memory[MEMORY_SIZE];
};

static uint64_t data_read(void *device, uint64_t offset, unsigned size)
{
    const struct testdev *testdev = device;
    uint64_t value = 0;
    memcpy(&value, testdev->data + offset, size);
    return value;
}

static void data_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *testdev = device;
    memcpy(testdev->data + offset, &value, size);
}

static void line_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *testdev = device;
    (void)size;
    irq_set(&testdev->lines[offset], value != 0);
}

static uint64_t memory_cell_read(void *device, uint64_t offset, unsigned size)
{
    const struct testdev *testdev = device;
    uint64_t value = 0;
    memcpy(&value, testdev->memory + offset, size);
    return value;
}

static void memory_cell_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *testdev = device;
    memcpy(testdev->memory + offset, &value, size);
}

struct testdev *testdev_create(struct bus *ports, struct bus *mmio,
                               const struct irq_line lines[TESTDEV_LINES])
{
    struct testdev *testdev = allocate(sizeof(*testdev));
    testdev->ports = ports;
    testdev->mmio = mmio;
    memcpy(testdev->lines, lines, sizeof(testdev->lines));
    bus_add(ports, &(struct bus_range){DATA, DATA_SIZE, "test data", testdev, data_read, data_write, 4});
    bus_add(ports, &(struct bus_range){FLUSH, 4, "test page flush", testdev, NULL, NULL, 4});
    bus_add(ports,
            &(struct bus_range){DATA_BYTES, DATA_SIZE, "test data", testdev, data_read, data_write, 1});
    bus_add(ports, &(struct bus_range){LINES, TESTDEV_LINES, "test lines", testdev, NULL, line_write, 4});
    bus_add(mmio, &(struct bus_range){MEMORY, MEMORY_SIZE, "test memory", testdev, memory_cell_read,
                                      memory_cell_write, 8});
    return testdev;
}

void testdev_destroy(struct testdev *testdev)
{
    if (!testdev)
        return;
    bus_remove(testdev->ports, testdev, DATA);
    bus_remove(testdev->ports, testdev, FLUSH);
    bus_remove(testdev->ports, testdev, DATA_BYTES);
    bus_remove(testdev->ports, testdev, LINES);
    bus_remove(testdev->mmio, testdev, MEMORY);
    free(testdev);
}
