/* timer.c: channel 0 of the 8254 interrupts 100 times a second (datasheet: Intel 8254) */
#include "asm.h"
#include "const.h"
#include "timer.h"

#define CHANNEL_0     0x40
#define COMMAND       0x43
#define COMMAND_RATE  0x34 /* channel 0, low byte then high byte, mode 2: rate generator, binary */
#define COMMAND_LATCH 0x00
#define INPUT_HZ      1193182u
#define RELOAD        (INPUT_HZ / TIMER_HZ)

PRIVATE volatile u32 ticks;

PUBLIC void timer_init(void)
{
    out_u8(COMMAND, COMMAND_RATE);
    out_u8(CHANNEL_0, (u8)RELOAD);
    out_u8(CHANNEL_0, RELOAD >> 8);
}

PUBLIC void timer_interrupt(void)
{
    ticks++;
}

PUBLIC u32 timer_ticks(void)
{
    return ticks;
}

PRIVATE u32 counter_read(void)
{
    u32 flags = interrupts_off();
    out_u8(COMMAND, COMMAND_LATCH);
    u32 low = in_u8(CHANNEL_0);
    u32 count = low | in_u8(CHANNEL_0) << 8;
    interrupts_restore(flags);
    return count;
}

/* The counter goes from RELOAD down to 1 and begins again, so the difference of two readings is how many
 * periods of 1/1193182 s went by, as long as it is read more than once a round. */
PUBLIC void timer_delay(u32 microseconds)
{
    u32 left = microseconds + microseconds / 5; /* 1.193 rounded up */
    u32 last = counter_read();
    for (;;) {
        u32 now = counter_read();
        u32 passed = (last + RELOAD - now) % RELOAD;
        if (passed >= left)
            return;
        left -= passed;
        last = now;
    }
}
