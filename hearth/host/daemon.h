/* Going into the background, and the file that says which process it is. Before any thread is started. */
#ifndef HOST_DAEMON_H
#define HOST_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Forks: the parent waits, never returns, and ends with status 0 when the child calls daemon_ready() or with the child's own
 * status if that ends before. The child returns, in a session of its own; what it says still reaches the terminal.
 * False with errno.
 */
bool daemon_start(void);
/* The parent may go; standard input and output are /dev/null from now on. Harmless without daemon_start(). */
void daemon_ready(void);

/* Writes the process id, locks the file for as long as the process lives. False with one line. */
bool pidfile_create(const char *path, char *error, size_t error_size);
/* Removes it; NULL is harmless. */
void pidfile_remove(const char *path);

#endif
