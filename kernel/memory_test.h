/*
 * memory_test.h - the memory that nobody uses, written and read again and
 * again.
 */
#pragma once

/* Until Esc, which starts the machine anew, or the power button. */
_Noreturn void memory_test(void);
