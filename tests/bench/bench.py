#!/usr/bin/env python3
"""Prints figures: bench.py VM IMAGE [NAME...].

The image's own benchmarks (package Benchmarks and Benchmarks-Desktop) each
verify their result and print `name figure unit`. A unit that begins with /
counts what is done in a second: more is better. The rows of machines.py
are about whole machines.

Names choose rows (of machines.py: boot, save, memory, idle, frames); none
means all. ROUNDS in the environment says how often everything is done;
medians are printed. With PEER_VM=/path/to/squeak an OpenSmalltalk Spur-64 VM runs the
very same image in alternation; the last column says how many times as fast
ours is, with the least and the greatest of the rounds. (The peer gets a copy
that says format 68021, as older ones insist.) A VM that can switch its
compiler off is measured that way as well.

No test asserts a time: these are figures, for people.
"""
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import machines

LINE = re.compile(r"^([\w-]+)\s+(\d+) (\S+)$", re.M)


class Column:
    """A VM to be measured: name, command line, one dictionary a round."""

    def __init__(self, name, command):
        self.name = name
        self.command = command
        self.rounds = []
        self.units = {}

    def measure(self, names):
        expression = ("Benchmark run: '%s'" % " ".join(names)
                      if names else "Benchmark run")
        run = subprocess.run(self.command + ["eval", expression, "quit"],
                             stdin=subprocess.DEVNULL, timeout=900,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        found = LINE.findall(run.stdout)
        if not found or run.returncode:
            sys.exit("%s: status %d\n%s" % (" ".join(self.command),
                                            run.returncode,
                                            run.stderr[-2000:]))
        self.rounds.append({name: int(n) for name, n, _ in found})
        self.units.update({name: unit for name, _, unit in found})

    def median(self, name):
        return statistics.median(r[name] for r in self.rounds)

    def times_as_fast(self, other, name):
        """Of mine against the other's, for every round."""
        for mine, theirs in zip(self.rounds, other.rounds):
            a, b = max(mine[name], 1), max(theirs[name], 1)
            yield a / b if self.units[name].startswith("/") else b / a


def older(image):
    """A copy of the image whose header says 68021."""
    data = bytearray(open(image, "rb").read())
    data[0:4] = (68021).to_bytes(4, "little")
    copy = tempfile.NamedTemporaryFile(suffix=".image", delete=False)
    copy.write(data)
    copy.close()
    return copy.name


def busy_share():
    """How busy the other programs keep this machine, 0 to 1."""
    def ticks():
        with open("/proc/stat") as f:
            t = [int(n) for n in f.readline().split()[1:9]]
        return sum(t), t[3] + t[4]

    total, idle = ticks()
    time.sleep(0.5)
    total2, idle2 = ticks()
    return 1 - (idle2 - idle) / max(total2 - total, 1)


def warn_if_busy():
    share = busy_share()
    if share > 0.15:
        print("note: other programs take %d %% of this machine; figures "
              "will be worse than they could be" % round(share * 100))


def columns(vm, image):
    result = [Column("ours", [vm, "--headless", image])]
    usage = subprocess.run([vm, "--help"], stdout=subprocess.PIPE, text=True)
    if "--jit" in usage.stdout:
        result.append(Column("ours, no JIT",
                             [vm, "--headless", "--jit=off", image]))
    peer = shlex.split(os.environ.get("PEER_VM", ""))
    if peer:
        result.append(Column("peer", peer + [older(image)]))
    return result


def print_table(table):
    ours, others = table[0], table[1:]
    print("%-16s %-6s %13s" % ("", "", ours.name) +
          "".join(" %13s %18s" % (c.name, "times as fast") for c in others))
    for name in ours.rounds[0]:
        line = "%-16s %-6s %13d" % (name, ours.units[name],
                                    ours.median(name))
        for other in others:
            ratios = sorted(ours.times_as_fast(other, name))
            line += " %13d %6.2f (%.2f-%.2f)" % (
                other.median(name), statistics.median(ratios), ratios[0],
                ratios[-1])
        print(line)
    for other in others:
        ratios = [statistics.median(ours.times_as_fast(other, name))
                  for name in ours.rounds[0]]
        print("geometric mean against %s: %.2f times as fast" % (
            other.name, statistics.geometric_mean(ratios)))


def main():
    vm, image = sys.argv[1:3]
    names = sys.argv[3:]
    rounds = int(os.environ.get("ROUNDS", "3"))
    rows = [n for n in names if n in machines.ROWS]
    names = [n for n in names if n not in machines.ROWS]
    warn_if_busy()
    if names or not rows:
        table = columns(vm, image)
        for _ in range(rounds):
            for column in table:
                column.measure(names)
        print_table(table)
    if rows or not names:
        machines.print_rows(vm, image, rows or list(machines.ROWS), rounds)


if __name__ == "__main__":
    main()
