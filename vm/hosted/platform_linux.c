/*
 * platform_linux.c - console, time, waiting and memory of a Linux process.
 *
 * A 1 ms interval timer makes the interpreter reach safepoints
 * (vm_force_check), as the clock interrupt does on metal. It is stopped
 * while the process sleeps.
 */
#define _GNU_SOURCE
#include "vm/hosted/hosted.h"
#include "vm/vm.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* With a window, sleeping does not notice standard input: a slice at a time. */
enum { FRAME_USECS = 16000, WAIT_SLICE = 50000 };
enum { END_OF_INPUT = 4 };
/* So much of the heap is in large pages: a program that runs for milliseconds
 * would spend many of them on touching new space page by page. What it grows
 * by later is not, since getting a large page takes milliseconds, too. */
enum { LARGE_PAGED = 64 << 20, LARGE_PAGE = 2 << 20,
       SMALL_PAGE = 4096 };
/* What a program has in its first second; what it and the VM get of malloc. */
enum { FIRST_CODE = 256 << 10, FIRST_MALLOCED = 1 << 20 };
/* What malloc asks the system for each time, and what it gives back. */
enum { LARGE_MALLOC = 6 << 20, UNUSED_MALLOC = 12 << 20 };

/* Of memory, for a thread. */
struct range {
    char *at;
    uint64_t bytes;
};

/* --- console, end --- */

void plat_write(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t k = write(fd, bytes, n);

        if (k < 0 && errno != EINTR && errno != EAGAIN)
            return; /* the reader is gone: nobody to tell */
        if (k > 0) {
            bytes += k;
            n -= (size_t)k;
        }
    }
}

static bool input_wanted; /* the image looked for input and found none */
static bool input_ended;

static bool input_waiting(int milliseconds)
{
    struct pollfd p = { .fd = 0, .events = POLLIN };

    return poll(&p, 1, milliseconds) > 0;
}

int plat_read_byte(void)
{
    unsigned char c;

    input_wanted = false;
    if (input_ended)
        return END_OF_INPUT;
    if (!input_waiting(0)) {
        input_wanted = true;
        return -1;
    }
    if (read(0, &c, 1) == 1)
        return c;
    input_ended = true;
    return END_OF_INPUT;
}

void plat_panic(const char *message)
{
    static bool again;

    plat_write(2, "aerostat: ", 10);
    plat_write(2, message, strlen(message));
    plat_write(2, "\n", 1);
    if (!again) {
        again = true;
        vm_dump_stack(2);
    }
    abort();
}

void plat_exit(int code)
{
    screen_flush();
    screen_save();
    exit(code);
}

void plat_restart(void) {}

/* --- time --- */

uint64_t plat_usecs(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t plat_utc_usecs(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int plat_utc_offset(void)
{
    time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    return (int)tm.tm_gmtoff;
}

/* --- signals: the heartbeat, and screenshots on request --- */

static volatile sig_atomic_t picture_wanted;

static void on_signal(int sig)
{
    if (sig == SIGUSR1)
        picture_wanted = 1;
    vm_force_check();
}

static void beat(bool on)
{
    struct itimerval t = { { 0, on ? 1000 : 0 }, { 0, on ? 1000 : 0 } };

    setitimer(ITIMER_REAL, &t, NULL);
}

void clock_start(void)
{
    static uint8_t stack[64 << 10];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction a = { .sa_handler = on_signal,
                           .sa_flags = SA_RESTART | SA_ONSTACK };

    /* machine code runs on stacks with little room */
    sigaltstack(&alternate, NULL);
    sigaction(SIGALRM, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
    beat(true);
}

/* --- polling and sleeping --- */

/* Tells the image that its input is there. */
static void poll_input(void)
{
    if (!input_wanted || !input_waiting(0))
        return;
    input_wanted = false;
    vm_console_ready();
}

void plat_poll(void)
{
    static uint64_t next_frame;
    uint64_t now = plat_usecs();

    if (picture_wanted) {
        picture_wanted = 0;
        screen_save();
    }
    poll_input();
    if (events_wanted())
        events_poll();
    poll_input();
    if (!window_is_open())
        return;
    window_poll();
    if (now >= next_frame) {
        next_frame = now + FRAME_USECS;
        screen_flush();
    }
}

/* Sleeps until a signal, input that the image wants, or `usecs` later. */
static void sleep_a_while(uint64_t usecs)
{
    struct timespec t = { .tv_sec = (time_t)(usecs / 1000000),
                          .tv_nsec = (long)(usecs % 1000000 * 1000) };
    struct pollfd p = { .fd = 0, .events = POLLIN };

    ppoll(&p, input_wanted ? 1 : 0, &t, NULL);
}

void plat_idle(uint64_t until)
{
    uint64_t now = plat_usecs();
    uint64_t left = until > now ? until - now : 0;

    plat_poll();
    if (!left || vm_event_waits())
        return;
    if (events_wanted() && left > WAIT_SLICE)
        left = WAIT_SLICE;
    beat(false);
    if (!window_is_open()) {
        sleep_a_while(left);
    } else {
        screen_flush();
        window_wait(left > WAIT_SLICE && input_wanted ? WAIT_SLICE : left);
        window_poll();
    }
    poll_input();
    beat(true);
}

/* --- memory --- */

void *plat_reserve(uint64_t want, uint64_t bytes)
{
    void *hint = (void *)(uintptr_t)want;
    void *p = mmap(hint, bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_DONTDUMP); /* or a core dump takes it all */
    return p;
}

int plat_commit(void *p, uint64_t bytes)
{
    static uint64_t large = LARGE_PAGED;

    if (mprotect(p, bytes, PROT_READ | PROT_WRITE))
        return -1;
    madvise(p, bytes, MADV_DODUMP);
    if (bytes <= large) {
        madvise(p, bytes, MADV_HUGEPAGE);
        large -= bytes;
    }
    return 0;
}

/* Linux gives a page when it is written to, and clears it first: a tenth of
 * what a program does that runs for milliseconds. A thread does it while the
 * image is read. A part at a time, since whoever commits memory waits. */
static void *get_pages(void *data)
{
    struct range r = *(struct range *)data;
    uint64_t n;

    free(data);
    for (; r.bytes; r.at += n, r.bytes -= n) {
        n = r.bytes < LARGE_PAGE ? r.bytes : LARGE_PAGE;
        if (madvise(r.at, n, MADV_POPULATE_WRITE))
            madvise(r.at, n, MADV_POPULATE_READ);
    }
    return NULL;
}

void plat_prepare(void *p, uint64_t bytes)
{
    struct range *r = malloc(sizeof *r);
    sigset_t all, before;
    pthread_t thread;

    if (!r)
        return;
    *r = (struct range){ p, bytes };
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, get_pages, r) == 0)
        pthread_detach(thread);
    else
        free(r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The compilers' memory comes from malloc, which is to keep what is freed. */
void prepare_malloc(void)
{
    char *p, *from;

    mallopt(M_MMAP_THRESHOLD, LARGE_MALLOC);
    mallopt(M_TRIM_THRESHOLD, UNUSED_MALLOC);
    p = malloc(FIRST_MALLOCED);
    if (!p)
        return;
    from = p + (-(uintptr_t)p & (SMALL_PAGE - 1));
    plat_prepare(from, (uint64_t)(p + FIRST_MALLOCED - from));
    free(p);
}

void plat_decommit(void *p, uint64_t bytes)
{
    madvise(p, bytes, MADV_DONTNEED);
    madvise(p, bytes, MADV_DONTDUMP);
    mprotect(p, bytes, PROT_NONE);
}

void plat_release(void *p, uint64_t bytes)
{
    munmap(p, bytes);
}

int plat_code_zone(uint64_t bytes, void **write, void **exec)
{
    int f = memfd_create("code", MFD_CLOEXEC);

    if (f < 0 || ftruncate(f, (off_t)bytes) < 0)
        return -1;
    *write = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    *exec = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, f, 0);
    close(f);
    if (*write == MAP_FAILED || *exec == MAP_FAILED)
        return -1;
    plat_prepare(*write, bytes < FIRST_CODE ? bytes : FIRST_CODE);
    plat_prepare(*exec, bytes < FIRST_CODE ? bytes : FIRST_CODE);
    return 0;
}

uint64_t plat_memory_limit(void)
{
    uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES);

    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 4 * 3;
}

const char *plat_getenv(const char *name)
{
    return getenv(name);
}
