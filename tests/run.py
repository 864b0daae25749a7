#!/usr/bin/env python3
"""Runs the suites named on the command line and adds them up.

A suite is a command. What counts are its own result lines: `N passed, M
failed` (the image, lint), cmocka's `[  PASSED  ] N test(s).`, or pytest's
summary. A suite that ends badly without a failed line counts as one failure;
one that counted nothing at all is a failure too. The last line of the run is
`N passed, M failed` (`, K skipped` when something was).
"""
import re
import subprocess
import sys
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
    print("%-28s %5d passed %3d failed %3d skipped  %6.1f s" % (
        name, passed, failed, skipped, time.time() - began), flush=True)
    if failed:
        print(text[-6000:], flush=True)
    elif skipped:
        for line in text.splitlines():
            if "skip" in line.lower():
                print("    " + line.strip())
    return passed, failed, skipped


def main():
    total = [0, 0, 0]
    for suite in sys.argv[1:]:
        name, command = suite.split("=", 1)
        total = [a + b for a, b in zip(total, run(name, command))]
    print("%d passed, %d failed" % (total[0], total[1]) +
          (", %d skipped" % total[2] if total[2] else ""))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
