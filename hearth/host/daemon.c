#include "host/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The pipe to the parent; a process has one at most. -1: there is no parent that waits. */
static int parent = -1;

static _Noreturn void wait_for_child(pid_t child, int pipe)
{
    char ready;
    int status;
    ssize_t got;
    do
        got = read(pipe, &ready, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1)
        _exit(0);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

bool daemon_start(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return false;
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child > 0) {
        close(ends[1]);
        wait_for_child(child, ends[0]);
    }
    close(ends[0]);
    parent = ends[1];
    setsid();
    return true;
}

void daemon_ready(void)
{
    if (parent < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int standard = STDIN_FILENO; null >= 0 && standard <= STDERR_FILENO; standard++)
        dup2(null, standard);
    if (null > STDERR_FILENO)
        close(null);
    if (write(parent, "", 1) < 0) {
        /* The parent has been ended; the guest runs all the same. */
    }
    close(parent);
    parent = -1;
}

bool pidfile_create(const char *path, char *error, size_t error_size)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    int descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    if (descriptor < 0) {
        snprintf(error, error_size, "cannot create PID file %s: %s", path, strerror(errno));
    } else if (fcntl(descriptor, F_SETLK, &lock)) {
        snprintf(error, error_size, "cannot lock PID file %s: another process has it", path);
    } else if (ftruncate(descriptor, 0) || write(descriptor, text, (size_t)length) != length) {
        snprintf(error, error_size, "cannot write PID file %s: %s", path, strerror(errno));
    } else {
        return true; /* it stays open: the lock lives with it */
    }
    if (descriptor >= 0)
        close(descriptor);
    return false;
}

void pidfile_remove(const char *path)
{
    if (path)
        unlink(path);
}
