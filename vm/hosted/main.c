/*
 * main.c - the command line of the hosted VM.
 */
#include "vm/hosted/hosted.h"
#include "vm/vm.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: aerostat [OPTION]... IMAGE [ARGUMENT...]\n"
    "  --headless         no window\n"
    "  --size WxH         pixels of the screen\n"
    "  --screenshot FILE  write the screen as PPM at exit and on SIGUSR1\n"
    "  --events FILE      pointer and keys from a file (vm/hosted/events.c)\n"
    "  --memory MB        the most that the image may take\n"
    "  --disk FILE        a file that the image sees as a disk\n"
    "  --disk4k FILE      the same, with sectors of 4096 bytes\n"
    "  --write-below DIR  the image may change no file elsewhere\n"
    "  --jit=on|1|off     compile to machine code, without the second tier,\n"
    "                     or interpret everything\n"
    "  --jit-threshold=N  calls of a method before it is compiled\n"
    "  --jit-threshold2=N calls of that code before the second tier compiles\n"
    "  --jit-stress=deopt leave the second tier's code all the time\n"
    "  --jit-list NAME    list the machine code of methods of that name\n"
    "  --blit=LOOPS       draw with plain, sse2 or avx2 loops\n"
    "  --stats            print counters at exit\n"
    "  --stress-gc        collect at every safepoint\n"
    "  --check-heap       verify the heap after each collection\n"
    "The image gets the arguments after its name.\n";

static _Noreturn void wrong_usage(const char *option)
{
    if (option)
        fprintf(stderr, "aerostat: cannot use option %s\n", option);
    fputs(usage, stderr);
    exit(2);
}

/* The word after an option, which it must have. */
static char *value_of(char ***argv)
{
    if (!(*argv)[1])
        wrong_usage(**argv);
    return *++*argv;
}

static uint64_t megabytes(const char *text)
{
    char *end;
    unsigned long mb = strtoul(text, &end, 10);

    if (*end || !mb || mb > 1u << 20)
        wrong_usage("--memory");
    return (uint64_t)mb << 20;
}

static void screen_size(const char *text)
{
    unsigned w, h;
    char rest;

    if (sscanf(text, "%ux%u%c", &w, &h, &rest) != 2 || w < 64 || h < 64 ||
        w > 16384 || h > 16384)
        wrong_usage("--size");
    screen_fix_size(w, h);
}

static void add_disk(const char *path, uint32_t sector_size)
{
    if (!disks_add(path, sector_size))
        wrong_usage(path);
}

static void jit_option(char ***argv, struct vm_options *o)
{
    const char *name = **argv;

    if (!strcmp(name, "--jit=on"))
        o->jit = o->jit_second = true;
    else if (!strcmp(name, "--jit=1"))
        o->jit = true, o->jit_second = false;
    else if (!strcmp(name, "--jit=off"))
        o->jit = false;
    else if (!strncmp(name, "--jit-threshold2=", 17))
        o->jit_threshold2 = (int)strtol(name + 17, NULL, 10);
    else if (!strcmp(name, "--jit-stress=deopt"))
        o->stress_deopt = true;
    else if (!strncmp(name, "--jit-threshold=", 16))
        o->jit_threshold = (int)strtol(name + 16, NULL, 10);
    else if (!strcmp(name, "--jit-list"))
        o->jit_list = value_of(argv);
    else
        wrong_usage(name);
}

/* Takes the options from argv; answers where the image's name is. */
static char **parse_options(char **argv, struct vm_options *o)
{
    for (; *argv && **argv == '-'; argv++) {
        if (!strcmp(*argv, "--headless")) {
            o->headless = true;
            screen_headless();
        } else if (!strcmp(*argv, "--stats"))
            o->stats = true;
        else if (!strcmp(*argv, "--stress-gc"))
            o->stress_gc = true;
        else if (!strcmp(*argv, "--check-heap"))
            o->check_heap = true;
        else if (!strncmp(*argv, "--jit", 5))
            jit_option(&argv, o);
        else if (!strncmp(*argv, "--blit=", 7))
            o->blit = *argv + 7;
        else if (!strcmp(*argv, "--memory"))
            o->memory_limit = megabytes(value_of(&argv));
        else if (!strcmp(*argv, "--disk"))
            add_disk(value_of(&argv), 512);
        else if (!strcmp(*argv, "--disk4k"))
            add_disk(value_of(&argv), 4096);
        else if (!strcmp(*argv, "--write-below"))
            files_write_below(value_of(&argv));
        else if (!strcmp(*argv, "--events"))
            events_from(value_of(&argv));
        else if (!strcmp(*argv, "--screenshot"))
            screen_save_to(value_of(&argv));
        else if (!strcmp(*argv, "--size"))
            screen_size(value_of(&argv));
        else if (!strcmp(*argv, "--help")) {
            fputs(usage, stdout);
            exit(0);
        } else {
            wrong_usage(*argv);
        }
    }
    return argv;
}

/* Images take their directory from their name, so it must be absolute. */
static const char *absolute(const char *name)
{
    static char path[PATH_MAX];

    return realpath(name, path) ? path : name;
}

int main(int argc, char **argv)
{
    struct vm_options options = {
        .vm_path = argc ? argv[0] : "aerostat", .jit = true, .jit_second = true,
        .jit_threshold = -1, .jit_threshold2 = -1,
    };
    const char *why = "";
    struct vm *vm;
    char **rest = parse_options(argv + 1, &options);

    if (!*rest)
        wrong_usage(NULL);
    options.image_name = absolute(*rest++);
    options.argv = rest;
    while (rest[options.argc])
        options.argc++;
    prepare_malloc();
    vm = vm_create(&options, &why);
    if (!vm) {
        fprintf(stderr, "aerostat: %s: %s\n", options.image_name, why);
        return 1;
    }
    clock_start();
    vm_run(vm);
}
