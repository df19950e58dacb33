/* Between check.c and check-cpus.c. */
#ifndef COMMANDS_CHECK_H
#define COMMANDS_CHECK_H

/* Prints the table; the exit status. */
int check_cpus(void);

#endif
