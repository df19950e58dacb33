/*
 * In a guest, for flush_soft_test.py: `writer FILE NAME` writes numbered blocks of 4 KiB into 64 places of the file in turn,
 * fsyncs after each, and only then says "NAME acknowledged NUMBER". The first number is the argument after them. For ever.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, PLACES = 64 };

int main(int count, char **arguments)
{
    static uint32_t block[BLOCK / sizeof(uint32_t)];
    char line[100];
    if (count < 4)
        return 1;
    int file = open(arguments[1], O_RDWR | O_CREAT, 0644);
    for (uint32_t number = (uint32_t)strtoul(arguments[3], NULL, 0);; number++) {
        for (unsigned i = 0; i < BLOCK / sizeof(uint32_t); i++)
            block[i] = number;
        if (pwrite(file, block, BLOCK, number % PLACES * BLOCK) != BLOCK || fsync(file) < 0) {
            perror(arguments[2]);
            return 1;
        }
        int size = snprintf(line, sizeof(line), "%s acknowledged %u\n", arguments[2], number);
        if (write(STDOUT_FILENO, line, (size_t)size) != size)
            return 1;
    }
}
