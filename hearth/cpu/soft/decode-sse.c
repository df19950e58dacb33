/*
 * The hook for MMX and SSE: nothing of them is there, so no instruction is theirs.
 */
#include "cpu/soft/decode.h"

op_function *sse_decode(struct decoder *d)
{
    (void)d;
    return NULL;
}
