/* What `hearth check` has found, item by item: for people in the shape of virt-host-validate, or as JSON. */
#ifndef COMMANDS_REPORT_H
#define COMMANDS_REPORT_H

#include <stdbool.h>

enum finding { FINDING_OK, FINDING_MISSING, FINDING_WARNING, FINDING_UNKNOWN, FINDING_NOTE };

struct report {
    bool quiet, json, colour;
    unsigned items;
    bool failed; /* something that is needed is missing */
};

void report_begin(struct report *report);
/* `what` is what was looked at, `found` what it is like, `mend` the command or setting that mends it (NULL: none). */
void report_item(struct report *report, enum finding finding, const char *what, const char *found,
                 const char *mend);
/* The exit status: 0 if guests can run on KVM. */
int report_end(struct report *report);

#endif
