// SPDX-License-Identifier: Apache-2.0
// The least that a command can do: one line, and with an argument the end of its input as well.
// No C library, so that what is measured is what is around it.

static long call(long number, long first, const void *second, long third) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second), "d"(third) : "rcx", "r11", "memory");
    return result;
}

// execve(2) leaves the number of arguments at the top of the stack.
__attribute__((noreturn, used)) void begin(const long *stack) {
    char byte;
    call(1, 1, "ok\n", 3);
    while (stack[0] > 1 && call(0, 0, &byte, 1) == 1) {}
    for (;;) call(231, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n call begin\n");
