#!/usr/bin/env python3
"""Prints figures: bench.py VM IMAGE [NAME...].

The image's own benchmarks (packages Benchmarks and Benchmarks-Desktop) each
verify their result and print `name figure unit`. A unit that begins with /
counts what is done in a second: more is better. Further rows:

  warmup  the first run of each benchmark, in a process of its own
  cuis    the programs of "Are We Fast Yet", filed into Cuis 5.0 (cuis.py)
  blits   pictures copied and blended beside pixman (blits.c)
  heaps   pauses with up to 2 GiB of live objects (heaps.py)
  boot save memory idle frames  whole machines (machines.py)
  disks paths sizes  ... their devices and sources (devices.py)

Names choose rows; none means all. With benchmarks named, `warmup` and `cuis`
are of these. ROUNDS in the environment says how often everything is done;
medians are printed.

Every way the VM can run an image is a column: both tiers of its compiler, the
first only, none. With PEER_VM=/path/to/squeak an OpenSmalltalk Spur-64 VM runs
the very same image, in alternation. Behind each column stands how many times
as fast ours is, with the least and the greatest of the rounds. (The peer gets
a copy that says format 68021, as older ones insist.) PEER_STACK_VM names one
that interprets, for our interpreter to be compared with.

No test asserts a time: these are figures, for people.
"""
import os
import re
import shlex
import statistics
import subprocess
import sys
import time

import cuis
import machines
from peer import older

LINE = re.compile(r"^([\w-]+)\s+(\d+) (\S+)$", re.M)
TABLES = ("warmup", "cuis")
INTERPRETER = "interpreter"
MODES = (("on", "ours"), ("1", "tier 1"), ("off", INTERPRETER))


class Failure(Exception):
    pass


class Column:
    """A VM to be measured: name, command, the image that it can read."""

    def __init__(self, name, command, image):
        self.name = name
        self.command = command
        self.image = image
        self.rounds = []

    def evaluate(self, expression):
        command = self.command + [self.image, "eval", expression, "quit"]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=900,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        if run.returncode:
            raise Failure("%s: status %d\n%s" % (
                " ".join(command), run.returncode, run.stderr[-2000:]))
        return {name: (int(figure), unit)
                for name, figure, unit in LINE.findall(run.stdout)}

    def median(self, name):
        return statistics.median(r[name][0] for r in self.rounds)

    def unit(self, name):
        return self.rounds[0][name][1]

    def times_as_fast(self, other, name):
        """Of mine against the other's, for every round, sorted."""
        counts = self.unit(name).startswith("/")
        pairs = [(max(a[name][0], 1), max(b[name][0], 1))
                 for a, b in zip(self.rounds, other.rounds)]
        return sorted(a / b if counts else b / a for a, b in pairs)


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
    """Ours first, which the others are compared with."""
    usage = subprocess.run([vm, "--help"], stdout=subprocess.PIPE, text=True)
    found = re.search(r"--jit=(\S+)", usage.stdout)
    modes = found[1].split("|") if found else []
    result = [Column(name, [vm, "--headless", "--jit=" + mode], image)
              for mode, name in MODES if mode in modes]
    if not result:
        result.append(Column("ours", [vm, "--headless"], image))
    for name, variable in (("peer", "PEER_VM"),
                           ("peer's interp.", "PEER_STACK_VM")):
        peer = shlex.split(os.environ.get(variable, ""))
        if peer:
            result.append(Column(name, peer, older(image)))
    return result


def print_means(table):
    def mean(mine, other):
        return statistics.geometric_mean(
            statistics.median(mine.times_as_fast(other, name))
            for name in mine.rounds[0])

    for other in table[1:]:
        print("geometric mean: %s %.2f times as fast as %s" % (
            table[0].name, mean(table[0], other), other.name))
    stack = [c for c in table if c.name == "peer's interp."]
    for mine in table if stack else []:
        if mine.name == INTERPRETER:
            print("geometric mean: %s %.2f times as fast as %s" % (
                mine.name, mean(mine, stack[0]), stack[0].name))


def print_table(title, table):
    ours, others = table[0], table[1:]
    print("\n%-16s %-6s %13s" % (title, "", ours.name) +
          "".join(" %13s %18s" % (c.name, "times as fast") for c in others))
    for name in ours.rounds[0]:
        line = "%-16s %-6s %13d" % (name, ours.unit(name), ours.median(name))
        for other in others:
            ratios = ours.times_as_fast(other, name)
            line += " %13d %6.2f (%.2f-%.2f)" % (
                other.median(name), statistics.median(ratios), ratios[0],
                ratios[-1])
        print(line)
    print_means(table)
    sys.stdout.flush()


def measure(title, vm, image, rounds, figures):
    """figures(column): name -> (figure, unit), of one round."""
    table = columns(vm, image)
    for _ in range(rounds):
        for column in table:
            column.rounds.append(figures(column))
    print_table(title, table)


def first_runs(names):
    def figures(column):
        result = {}
        for name in names:
            result.update(column.evaluate("Benchmark runFirst: '%s'" % name))
        return result
    return figures


def print_cuis(vm, image, rounds, names):
    if not cuis.is_there():
        print("\nCuis: skipped, there is no image in ../shared/images")
        return
    programs = cuis.Cuis(vm, image, names)
    if programs.programs:
        measure("in Cuis", vm, image, rounds, lambda column: {
            name: (figure, "us")
            for name, figure in programs.run(column.command).items()})


def known_benchmarks(vm, image):
    """Name by its lower case; those of which a first run can be timed."""
    run = subprocess.run([vm, "--headless", image, "eval", "Benchmark names"],
                         stdout=subprocess.PIPE, text=True, timeout=60)
    lines = [line.strip(" '").split() for line in run.stdout.split("\n")]
    lines = [line for line in lines if line]
    return ({line[0].lower(): line[0] for line in lines},
            [line[0] for line in lines if "+" in line])


def sort_out(names, known):
    """Names of benchmarks, of tables, of machines' rows."""
    for name in names:
        if name.lower() not in known and name not in TABLES and \
                name not in machines.ROWS:
            raise Failure("there is no row called %s, but these: %s" % (
                name, " ".join(list(known.values()) + list(TABLES) +
                               list(machines.ROWS))))
    return ([known[n.lower()] for n in names if n.lower() in known],
            [n for n in names if n in TABLES],
            [n for n in names if n in machines.ROWS])


def run(vm, image, *names):
    vm = os.path.abspath(vm)
    rounds = int(os.environ.get("ROUNDS", "3"))
    known, timed = known_benchmarks(vm, image)
    chosen, tables, rows = sort_out(names, known)
    warn_if_busy()
    if chosen and not tables or not names:
        measure("", vm, image, rounds, lambda column: column.evaluate(
            "Benchmark run: '%s'" % " ".join(chosen or known.values())))
    if "warmup" in tables or not names:
        measure("first run", vm, image, rounds, first_runs(
            [n for n in timed if not chosen or n in chosen]))
    if "cuis" in tables or not names:
        print_cuis(vm, image, rounds, chosen)
    machines.print_rows(vm, image, rows if names else list(machines.ROWS),
                        rounds)


if __name__ == "__main__":
    try:
        run(*sys.argv[1:])
    except Failure as failure:
        sys.exit("bench: %s" % failure)
