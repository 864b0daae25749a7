/*
 * shell.h - other programs, which say what the tests of disks should see.
 */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs a command of at most 511 bytes; its status, as system(3) has it. */
__attribute__((format(printf, 1, 2)))
static int shell(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    return system(command);
}

/* One that must succeed. */
#define run(...) assert_int_equal(shell(__VA_ARGS__), 0)
