/* While a qcow2 image is opened: for qcow2-header.c and qcow2-open.c. */
#ifndef STORAGE_QCOW2_OPENING_H
#define STORAGE_QCOW2_OPENING_H

#include "storage/qcow2.h"

struct opening {
    struct qcow2 *qcow2;
    const struct block_options *options;
    uint8_t header[HEADER_READ];
    char feature_names[256]; /* of those that we don't know */
    char *error;
    size_t error_size;
};

/* Makes this the error; false. */
bool opening_refuse(struct opening *opening, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool opening_read_failed(struct opening *opening, const char *what, int result);
uint32_t opening_field32(const struct opening *opening, enum qcow2_header field);
uint64_t opening_field64(const struct opening *opening, enum qcow2_header field);

/* The header and what follows it in the first cluster, into opening->qcow2. False after opening_refuse(). */
bool opening_header(struct opening *opening);

#endif
