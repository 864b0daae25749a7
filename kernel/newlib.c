/*
 * newlib.c - the few system calls that newlib asks of whoever hosts it.
 *
 * malloc grows by sbrk in an address range of its own; standard output is
 * the log; there are no files on this level (platform_files.c has them).
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "kernel/klog.h"
#include "kernel/panic.h"
#include "kernel/vmm.h"

/* newlib calls these by their plain names and declares them nowhere. */
void *sbrk(ptrdiff_t increment);
int write(int fd, const void *bytes, size_t n);
int read(int fd, void *bytes, size_t n);
int close(int fd);
int fstat(int fd, struct stat *st);
int isatty(int fd);
long lseek(int fd, long offset, int whence);
int kill(int pid, int signal);
int getpid(void);
_Noreturn void _exit(int code);

#define GROW_STEP 0x40000ull /* bytes mapped at a time */

static uint64_t brk = SBRK_BASE, mapped = SBRK_BASE;

void *sbrk(ptrdiff_t increment)
{
    uint64_t was = brk, now = brk + (uint64_t)increment;

    if (now > mapped) {
        uint64_t step = (now - mapped + GROW_STEP - 1) / GROW_STEP *
                        GROW_STEP;

        if (now >= STACK_BASE || vmm_commit(mapped, step, PAGE_WRITE)) {
            errno = ENOMEM;
            return (void *)-1;
        }
        mapped += step;
    }
    brk = now;
    return (void *)(uintptr_t)was;
}

int write(int fd, const void *bytes, size_t n)
{
    if (fd != 1 && fd != 2) {
        errno = EBADF;
        return -1;
    }
    klog_bytes(bytes, n);
    return (int)n;
}

int read(int fd, void *bytes, size_t n)
{
    errno = EBADF;
    return -1;
}

int close(int fd)
{
    errno = EBADF;
    return -1;
}

int fstat(int fd, struct stat *st)
{
    st->st_mode = S_IFCHR;
    return 0;
}

int isatty(int fd) { return fd >= 0 && fd <= 2; }

long lseek(int fd, long offset, int whence)
{
    errno = ESPIPE;
    return -1;
}

int kill(int pid, int signal) { panic("abort (signal %d)", signal); }

int getpid(void) { return 1; }

void _exit(int code) { panic("exit(%d) inside the kernel", code); }
