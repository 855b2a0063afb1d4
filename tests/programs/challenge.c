// SPDX-License-Identifier: Apache-2.0
// A program to be broken into, as in a capture the flag: a name that is too long takes the place of the command.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct { char name[16]; char command[112]; } visitor = { "", "/bin/date" };

int main(void) {
    ssize_t length = read(0, &visitor, sizeof visitor - 1);
    if (length <= 0) return 1;
    if (length < 16) visitor.name[length] = 0;
    fflush(stdout);
    return system(visitor.command) == 0 ? 0 : 1;
}
