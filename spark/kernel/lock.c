/* lock.c: a spin lock. XCHG with memory is atomic on every x86, without a prefix. */
#include "asm.h"
#include "const.h"
#include "lock.h"
#include "smp.h"

PUBLIC void lock_take(struct lock *lock)
{
    u32 flags = interrupts_off();
    u32 self = cpu_number();
    if (lock->taken && lock->depth && lock->owner == self) {
        lock->depth++;
        return; /* interrupts were off already */
    }
    while (atomic_swap(&lock->taken, 1))
        cpu_pause();
    lock->owner = self;
    lock->depth = 1;
    lock->flags = flags;
}

PUBLIC void lock_give(struct lock *lock)
{
    if (--lock->depth)
        return;
    u32 flags = lock->flags;
    __asm__ volatile("" : : : "memory");
    lock->taken = 0;
    interrupts_restore(flags);
}

PUBLIC u32 lock_depth(const struct lock *lock)
{
    return lock->depth;
}

PUBLIC void lock_break(struct lock *lock)
{
    lock->depth = 0;
    lock->taken = 0;
}
