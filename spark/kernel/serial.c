/* serial.c: a 16550A UART at 3F8h (datasheet: PC16550D). Output waits for the transmitter, input comes by
 * interrupt. A port that is not there reads as FFh everywhere; then nothing is written. */
#include "asm.h"
#include "console.h"
#include "const.h"
#include "serial.h"

#define COM1 0x3F8
#define RBR  (COM1 + 0) /* receiver buffer; THR when written */
#define THR  (COM1 + 0)
#define DLL  (COM1 + 0) /* divisor, while LCR_DLAB is set */
#define DLM  (COM1 + 1)
#define IER  (COM1 + 1)
#define FCR  (COM1 + 2)
#define LCR  (COM1 + 3)
#define MCR  (COM1 + 4)
#define LSR  (COM1 + 5)
#define SCR  (COM1 + 7)

#define IER_RECEIVED          0x01
#define FCR_ENABLE_CLEAR      0x07
#define LCR_8N1               0x03
#define LCR_DLAB              0x80
#define MCR_DTR_RTS_OUT2      0x0B /* OUT2 lets the interrupt line through to the 8259A */
#define LSR_RECEIVED          0x01
#define LSR_TRANSMITTER_EMPTY 0x20
#define SCRATCH_PROBE         0x5A
#define POLLS                 100000 /* more than a character takes; a port that hangs must not hang us */

PRIVATE int present;

PUBLIC void serial_init(void)
{
    out_u8(SCR, SCRATCH_PROBE);
    present = in_u8(SCR) == SCRATCH_PROBE && in_u8(LSR) != 0xFF;
    if (!present)
        return;
    out_u8(IER, 0);
    out_u8(LCR, LCR_DLAB);
    out_u8(DLL, 1); /* 115200 / 1 */
    out_u8(DLM, 0);
    out_u8(LCR, LCR_8N1);
    out_u8(FCR, FCR_ENABLE_CLEAR);
    out_u8(MCR, MCR_DTR_RTS_OUT2);
    out_u8(IER, IER_RECEIVED);
}

PUBLIC int serial_present(void)
{
    return present;
}

PUBLIC void serial_put(char c)
{
    if (!present)
        return;
    for (u32 i = 0; i < POLLS && !(in_u8(LSR) & LSR_TRANSMITTER_EMPTY); i++)
        cpu_pause();
    out_u8(THR, c);
}

/* A terminal sends an arrow key as ESC [ letter, and some others as ESC [ digit ~. */
PRIVATE void terminal_byte(u8 c)
{
    static int escape; /* how much of a sequence has been seen: 1 ESC, 2 ESC [ or ESC O, 3 a digit, too */
    static u8 digit;
    if (escape == 0 && c == 27) {
        escape = 1;
    } else if (escape == 1 && (c == '[' || c == 'O')) {
        escape = 2;
    } else if (escape == 2 && c >= '0' && c <= '9') {
        escape = 3;
        digit = c;
    } else if (escape >= 2) {
        int key = c == 'A'                                                   ? KEY_UP
                  : c == 'B'                                                 ? KEY_DOWN
                  : c == 'C'                                                 ? KEY_RIGHT
                  : c == 'D'                                                 ? KEY_LEFT
                  : c == 'H' || (c == '~' && (digit == '1' || digit == '7')) ? KEY_HOME
                  : c == 'F' || (c == '~' && (digit == '4' || digit == '8')) ? KEY_END
                  : c == '~' && digit == '3'                                 ? KEY_DELETE
                                                                             : 0;
        escape = 0;
        if (key)
            console_key(key);
    } else {
        escape = 0;
        console_key(c == '\r' ? '\n' : c == 127 ? '\b' : c);
    }
}

/* A paste is faster than the screen. What the console has no room for stays in the port, which asks for no more
 * interrupts until serial_listen(): a sender that heeds flow control waits, and nothing is lost. */
PUBLIC void serial_interrupt(void)
{
    for (u32 i = 0; present && i < POLLS && console_takes_keys() && (in_u8(LSR) & LSR_RECEIVED); i++)
        terminal_byte(in_u8(RBR));
    if (present && !console_takes_keys())
        out_u8(IER, 0);
}

PUBLIC void serial_listen(void)
{
    if (present)
        out_u8(IER, IER_RECEIVED);
}
