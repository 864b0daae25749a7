#!/usr/bin/env python3
"""Prints the figures of the image's benchmarks: bench.py VM IMAGE [ROUNDS].

Each benchmark of the package Benchmarks verifies its own result. With
PEER_VM=/path/to/squeak an OpenSmalltalk Spur-64 VM runs the very same image
in alternation, and the ratio peer / ours is printed: over 1 means that ours
is faster. (It gets a copy that says format 68021, as older ones insist.) No
test asserts a time: these are figures, for people.
"""
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile


def measure(command):
    """One run: a dictionary of name -> microseconds."""
    run = subprocess.run(command, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=600, text=True)
    found = re.findall(r"^(\S+)\s+(\d+)$", run.stdout, re.M)
    if not found:
        sys.exit("no figures from %s:\n%s" % (command, run.stderr[-2000:]))
    return {name: int(usecs) for name, usecs in found}


def older(image):
    """A copy of the image whose header says 68021."""
    data = bytearray(open(image, "rb").read())
    data[0:4] = (68021).to_bytes(4, "little")
    copy = tempfile.NamedTemporaryFile(suffix=".image", delete=False)
    copy.write(data)
    copy.close()
    return copy.name


def main():
    vm, image = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    words = ["eval", "Benchmark run", "quit"]
    ours_command = [vm, "--headless", image] + words
    peer = shlex.split(os.environ.get("PEER_VM", ""))
    peer_command = peer + ([older(image)] if peer else []) + words
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(measure(ours_command))
        if peer:
            theirs.append(measure(peer_command))
    print("%-16s %12s" % ("benchmark", "ours, us") +
          (" %12s %18s" % ("peer, us", "peer/ours") if peer else ""))
    for name in ours[0]:
        line = "%-16s %12d" % (name, statistics.median(r[name] for r in ours))
        if peer:
            ratios = [b[name] / a[name] for a, b in zip(ours, theirs)]
            line += " %12d %6.2f (%.2f-%.2f)" % (
                statistics.median(r[name] for r in theirs),
                statistics.median(ratios), min(ratios), max(ratios))
        print(line)


if __name__ == "__main__":
    main()
