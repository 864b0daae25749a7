#!/usr/bin/env python3
"""The doors of the house, checked: who includes whom, what leaks through the
VM's door, line lengths, unfinished business. One line per fault, then
`N passed, M failed` with one rule a check."""
import os
import re
import subprocess
import sys

ROOMS = {  # folder: folders whose headers it may include
    "boot": {"boot"},
    "kernel": {"kernel", "boot", "drivers"},
    "drivers": {"drivers", "kernel"},
    "vm": {"vm"},
    "image": {"image", "vm"},
}
CROSSINGS = {"kernel/kmain.c", "kernel/platform_metal.c", "kernel/panic.c",
             "kernel/platform_input.c", "kernel/platform_files.c",
             "kernel/platform_screen.c", "kernel/platform_hardware.c"}
LIBC = set("""memcpy memmove memset memcmp strlen strcmp strncmp strchr
    strrchr strtod strtol strtoul strtoull snprintf vsnprintf malloc calloc
    realloc free qsort abs sin cos tan atan atan2 exp log pow sqrt floor ceil
    modf frexp ldexp trunc fmod hypot acos asin fabs log2 log10 exp2 cbrt
    lround fmodf floorf ceilf sqrtf acosf powf cosf fabsf __assert_fail
    __assert_func strncpy strcpy strcat strstr nearbyint rint round
    getrandom __popcountdi2""".split())


def files(*patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard",
                          *patterns], stdout=subprocess.PIPE, check=True)
    return [f for f in out.stdout.decode().split("\n")
            if f and os.path.exists(f)]


def lines(*patterns):
    """File, number and text of each line."""
    for f in files(*patterns):
        with open(f, errors="replace") as source:
            for n, line in enumerate(source, 1):
                yield f, n, line


def layers():
    for f, n, line in lines("*.c", "*.h", "*.def"):
        room = f.split("/")[0]
        if room not in ROOMS or f in CROSSINGS:
            continue
        m = re.match(r'\s*#\s*include\s+"(?:\.\./)*([^"]+)"', line)
        if m and m[1].split("/")[0] not in ROOMS[room] and "/" in m[1]:
            yield "%s:%d: %s may not include %s" % (f, n, room, m[1])


def vm_leaks():
    objects = ["build/hosted/%s.o" % f[:-2] for f in files("vm/*.c")
               if not f.startswith("vm/hosted/")]
    objects = [o for o in objects if os.path.exists(o)]
    if not objects:
        yield "no VM objects in build/hosted/vm: build first"
        return
    joined = "build/hosted/vm-joined.o"
    subprocess.run(["ld", "-r", "-o", joined] + objects, check=True)
    out = subprocess.run(["nm", "-u", joined], stdout=subprocess.PIPE,
                         check=True).stdout.decode()
    for name in sorted(set(re.findall(r"U (\S+)", out))):
        if not name.startswith("plat_") and name not in LIBC and \
                name not in ("_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"):
            yield "vm/ needs %s: not plat_* and not on the list" % name


def columns():
    for f, n, line in lines("*.c", "*.h"):
        if len(line.rstrip("\n").expandtabs(8)) > 80 and "http" not in line:
            yield "%s:%d: over 80 columns" % (f, n)


def externs():
    for f, n, line in lines("*.c"):
        if not f.startswith("tests/") and re.match(r"\s*extern\s", line):
            yield "%s:%d: extern in a .c file" % (f, n)


# In pieces: this file is searched as well, here and by others' tools.
UNFINISHED = re.compile(
    r"\b(%s)\b" % "|".join(("TO" "DO", "FIX" "ME", "X" "XX")))


def unfinished():
    for f, n, line in lines("*.c", "*.h", "*.S", "*.st", "*.py", "Makefile",
                            "*.mk"):
        if UNFINISHED.search(line):
            yield "%s:%d: unfinished business" % (f, n)


def class_comments():
    for f in files("image/src/*.class.st"):
        with open(f, errors="replace") as source:
            if not source.read().lstrip().startswith('"'):
                yield "%s: no class comment" % f


def main():
    passed = failed = 0
    for rule in (layers, vm_leaks, columns, externs, unfinished,
                 class_comments):
        faults = list(rule())
        for fault in faults[:40]:
            print(fault)
        if len(faults) > 40:
            print("... and %d more of %s" % (len(faults) - 40,
                                             rule.__name__))
        print("%s lint %s" % ("not ok" if faults else "ok", rule.__name__))
        failed += bool(faults)
        passed += not faults
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
