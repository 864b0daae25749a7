#!/usr/bin/env python3
"""Runs the suites named on the command line and adds them up.

A suite is a command. What counts are its own result lines: `N passed, M
failed` (the image, lint), cmocka's `[  PASSED  ] N test(s).`, or pytest's
summary. A suite that ends badly without a failed line counts as one failure;
one that counted nothing at all is a failure too. The last line of the run is
`N passed, M failed` (`, K skipped` when something was).

`--` ends a lane of suites. Those of a lane run one after the other, the lanes
side by side, but the last lane's suites when all others are done.
"""
import re
import subprocess
import sys
import threading
import time

PATTERNS = [
    (re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M),
     lambda m: (int(m[1]), int(m[2]), int(m[3] or 0))),
    (re.compile(r"^\[  PASSED  \] (\d+) test", re.M),
     lambda m: (int(m[1]), 0, 0)),
    (re.compile(r"^\[  FAILED  \] (?:\S+: )?(\d+) test", re.M),
     lambda m: (0, int(m[1]), 0)),
    (re.compile(r"^\[  SKIPPED \] (?:\S+: )?(\d+) test", re.M),
     lambda m: (0, 0, int(m[1]))),
]
printing = threading.Lock()
PYTEST = re.compile(r"^=*\s*(\d+ (?:passed|failed|skipped|errors?)\b.*) in "
                    r"[\d.]+s", re.M)


def count(text):
    """Adds up every result line of a suite's output."""
    total = [0, 0, 0]
    for pattern, read in PATTERNS:
        for match in pattern.finditer(text):
            total = [a + b for a, b in zip(total, read(match))]
    for match in PYTEST.finditer(text):
        for number, word in re.findall(r"(\d+) (\w+)", match[1]):
            if word == "passed":
                total[0] += int(number)
            elif word in ("failed", "error", "errors"):
                total[1] += int(number)
            elif word == "skipped":
                total[2] += int(number)
    return total


def run(name, command):
    began = time.time()
    process = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    text = process.stdout.decode(errors="replace")
    passed, failed, skipped = count(text)
    bad = process.returncode != 0
    if (bad and not failed) or not (passed + failed + skipped):
        failed += 1
    with printing:
        report(name, (passed, failed, skipped), text, time.time() - began)
    return passed, failed, skipped


def report(name, counts, text, seconds):
    passed, failed, skipped = counts
    print("%-28s %5d passed %3d failed %3d skipped  %6.1f s" % (
        name, passed, failed, skipped, seconds), flush=True)
    for line in text.splitlines():
        if line.startswith("| "):  # a table that the suite wants shown
            print(line)
    if failed:
        print(text[-12000:], flush=True)
    elif skipped:
        for line in text.splitlines():
            if "skip" in line.lower():
                print("    " + line.strip())


def run_lane(suites, total):
    for suite in suites:
        name, command = suite.split("=", 1)
        for i, n in enumerate(run(name, command)):
            total[i] += n


def main():
    lanes = [[]]
    for suite in sys.argv[1:]:
        if suite == "--":
            lanes.append([])
        else:
            lanes[-1].append(suite)
    totals = [[0, 0, 0] for _ in lanes]
    threads = [threading.Thread(target=run_lane, args=pair)
               for pair in zip(lanes[:-1], totals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_lane(lanes[-1], totals[-1])
    total = [sum(column) for column in zip(*totals)]
    print("%d passed, %d failed" % (total[0], total[1]) +
          (", %d skipped" % total[2] if total[2] else ""))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
