/*
 * vm.h - what the VM offers to the world that runs it (platforms, tests).
 */
#pragma once

#include "vm/object.h"

struct vm;

struct vm_options {
    uint64_t memory_limit;   /* bytes the heap may take; 0: the platform's */
    uint64_t eden_bytes;     /* 0: the image's wish or the default */
    bool headless;           /* system attribute -1: nobody watches */
    bool stats;              /* print counters at exit */
    bool stress_gc;          /* collect at every safepoint */
    bool check_heap;         /* verify the whole heap after each collection */
    bool jit;                /* compile to machine code */
    int jit_threshold;       /* calls before that; -1: the default */
    bool jit_second;         /* ... again, and better */
    int jit_threshold2;      /* calls before that; -1: the default */
    bool stress_deopt;       /* often leave what was compiled better */
    const char *jit_list;    /* print the code of methods of that selector */
    const char *blit;        /* "plain", "sse2", "avx2"; NULL: the fastest */
    const char *vm_path;     /* system attribute 0 */
    const char *machine;     /* system attribute 1006; NULL: hosted */
    const char *image_name;  /* system attribute 1 and the save's name */
    int argc;                /* arguments for the image */
    char **argv;
};

/* Loads the image and makes it ready to run. NULL: *why has one clear line. */
struct vm *vm_create(const struct vm_options *options, const char **why);
/* Name of the loops that draw. */
const char *vm_blit_loops(void);
/* Runs until the image quits (plat_exit). */
_Noreturn void vm_run(struct vm *vm);
void vm_destroy(struct vm *vm);

enum vm_event_type {
    VM_EVENT_MOUSE = 1, VM_EVENT_KEY = 2, VM_EVENT_WINDOW = 5,
    VM_EVENT_WHEEL = 7,
};
enum { VM_WINDOW_RESIZED = 1, VM_WINDOW_CLOSE = 2 };
enum { VM_BUTTON_RED = 4, VM_BUTTON_YELLOW = 2, VM_BUTTON_BLUE = 1 };
enum { VM_MOD_SHIFT = 1, VM_MOD_CTRL = 2, VM_MOD_ALT = 4, VM_MOD_CMD = 8 };
enum { VM_KEY_CHAR = 0, VM_KEY_DOWN = 1, VM_KEY_UP = 2 };

/* Layout of primitive 94's record; args are its slots 3 to 7. */
struct vm_event {
    int32_t type;
    int32_t arg[5];
};

/* Puts an event in the queue and signals the input semaphore. Call it from
 * plat_poll or plat_idle, in the VM's thread. A full queue drops the oldest. */
void vm_post_event(const struct vm_event *e);
/* The image has not taken all of them yet. */
bool vm_event_waits(void);
/* Queues a signal for external object `index` (1-based). Safe to call from
 * an interrupt handler; taken at the next safepoint. */
void vm_signal_semaphore(int index);
/* A byte is waiting that plat_read_byte did not find. Interrupt-safe. */
void vm_console_ready(void);
/* Makes the interpreter reach a safepoint soon. Interrupt-safe. */
void vm_force_check(void);
/* Writes the active process's stack through plat_write(fd). Trusts nothing:
 * usable from a panic. */
void vm_dump_stack(int fd);
