/* Do the two sides agree? */
#ifndef TESTS_CPU_COMPARE_H
#define TESTS_CPU_COMPARE_H

#include "form.h"

/* Which flags of this case cannot be compared. *result_too: nor can anything else. */
uint32_t flags_undefined(const struct form *form, const struct variant *variant, const struct record *record,
                         bool *result_too);

/* Compares but for these flags; at the first difference false, and if `print` the case on stdout as '#' lines. */
bool record_agrees(const struct record *native, const struct record *guest, uint32_t undefined, bool x87,
                   const uint8_t *code, unsigned length, bool print);

#endif
