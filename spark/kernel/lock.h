/* lock.h: one CPU at a time, and no interrupt on it meanwhile. The CPU that has the lock may take it again. */
#ifndef SPARK_LOCK_H
#define SPARK_LOCK_H

#include "type.h"

struct lock {
    volatile u32 taken;
    volatile u32 owner; /* of cpu_number(), meaningful while depth > 0 */
    volatile u32 depth;
    u32 flags; /* EFLAGS of the owner before it took the lock */
};

void lock_take(struct lock *lock);
void lock_give(struct lock *lock);
u32 lock_depth(const struct lock *lock);
void lock_break(struct lock *lock); /* for a CPU about to report a crash */

#endif
