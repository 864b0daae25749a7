/*
 * machine_linux.c - what a Linux process can say of the machine below it.
 * Its devices are the host system's affair.
 */
#define _GNU_SOURCE
#include "vm/platform.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of /proc/cpuinfo with that name, copied out. */
static size_t cpu_line(const char *name, const char *as, char *to, size_t n)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[4096];
    size_t used = 0;

    while (f && !used && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');

        if (colon && strncmp(line, name, strlen(name)) == 0)
            used = (size_t)snprintf(to, n, "%s\t%s", as,
                                    colon + strspn(colon, ": "));
    }
    if (f)
        fclose(f);
    return used < n ? used : n - 1;
}

static size_t describe_cpu(char *text, size_t n)
{
    size_t used = cpu_line("model name", "model", text, n);

    used += cpu_line("vendor_id", "maker", text + used, n - used);
    used += cpu_line("cpu MHz", "frequency", text + used, n - used);
    used += cpu_line("flags", "features", text + used, n - used);
    return used + (size_t)snprintf(text + used, n - used,
                                   "cores\t%ld found, 1 in use\n",
                                   sysconf(_SC_NPROCESSORS_ONLN));
}

static size_t describe_memory(char *text, size_t n)
{
    unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);
    unsigned long long all = (unsigned long long)sysconf(_SC_PHYS_PAGES);
    unsigned long long left = (unsigned long long)sysconf(_SC_AVPHYS_PAGES);

    return (size_t)snprintf(text, n, "\t\t%llu\tin all\n\t\t%llu\tunused by "
                            "the host system\n", all * page, left * page);
}

static size_t describe_clocks(char *text, size_t n)
{
    struct utsname u;

    if (uname(&u))
        return 0;
    return (size_t)snprintf(text, n, "time\tfrom the host system, %s %s\n",
                            u.sysname, u.release);
}

size_t plat_describe(const char *topic, char *text, size_t n)
{
    if (strcmp(topic, "cpu") == 0)
        return describe_cpu(text, n);
    if (strcmp(topic, "memory") == 0)
        return describe_memory(text, n);
    if (strcmp(topic, "clocks") == 0)
        return describe_clocks(text, n);
    return 0;
}

const struct plat_hardware *plat_hardware(void) { return NULL; }
