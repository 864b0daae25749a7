"""Rows about the collector's pauses: a program with so many MiB of live
objects replaces some of them all the time, and notes every gap between two
readings of the clock, some microseconds apart, that is over 0.3 ms. Whatever
else the computer does shows as well, on all VMs: the least figures of several
rounds are the truest. For ours, the VM's own account (--stats) follows.
"""
import os
import re
import shlex
import subprocess

from peer import older

SIZES = (256, 1024, 2048)
SECONDS = 10
# A MiB is 64 arrays of 64 arrays of 28 slots.
PROGRAM = """
| live random gaps start last now |
live := Array new: %d * 64.
1 to: live size do: [:i | | page |
    page := Array new: 64.
    1 to: 64 do: [:k | page at: k put: (Array new: 28)].
    live at: i put: page].
random := 12345.
gaps := OrderedCollection new.
start := last := Time microsecondClockValue.
[last - start < %d] whileTrue: [
    1 to: 20 do: [:j | | page new |
        random := random * 1103515245 + 12345 bitAnd: 16r3FFFFFFF.
        page := live at: random \\\\ live size + 1.
        new := Array new: 28.
        new at: 1 put: (Association key: random value: (Array new: 5)).
        page at: (random bitShift: -8) \\\\ 64 + 1 put: new.
        (live at: (random bitShift: -4) \\\\ live size + 1) at: 3
            put: (page at: 5)].
    now := Time microsecondClockValue.
    now - last > 300 ifTrue: [gaps add: now - last].
    last := now].
gaps isEmpty ifTrue: [gaps add: 0].
gaps := gaps asSortedCollection asArray.
'gaps ', gaps size printString, ' p50 ',
    (gaps at: gaps size + 1 // 2) printString, ' p99 ',
    (gaps at: gaps size * 99 + 99 // 100) printString, ' longest ',
    gaps last printString
"""
GAPS = re.compile(r"gaps \d+ p50 (\d+) p99 (\d+) longest (\d+)")
STATS = re.compile(r"pauses, all: .* p50 (\d+), p99 (\d+), longest (\d+)")


def measured(command, size):
    run = subprocess.run(
        command + ["eval", PROGRAM % (size, SECONDS * 1000000), "quit"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=600)
    if not GAPS.search(run.stdout):
        raise RuntimeError(run.stdout[-2000:])
    return run.stdout


def rows(who, size, found):
    for what, figure in zip(("p50", "p99", "longest"), found.groups()):
        yield "%s, %d MiB, %s" % (who, size, what), "ms", int(figure) / 1000


def heaps(vm, image):
    peer = shlex.split(os.environ.get("PEER_VM", ""))
    copy = older(image) if peer else None
    ours = [vm, "--headless", "--memory", "6144", "--stats", image]
    for size in SIZES:
        text = measured(ours, size)
        yield from rows("gaps", size, GAPS.search(text))
        yield from rows("  VM's pauses", size, STATS.search(text))
        if peer:
            text = measured(peer + [copy], size)
            yield from rows("  peer's gaps", size, GAPS.search(text))
    if copy:
        os.unlink(copy)
