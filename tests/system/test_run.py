"""`make run`: the second one builds nothing, and finds what the first saved."""
import os
import re
import signal
import subprocess
import time

from conftest import built
from machine import PROMPT, TOP


class Run:
    """A `make run` without a display, its serial line on our pipes."""

    def __init__(self, tmp_path):
        environment = {k: v for k, v in os.environ.items()
                       if k not in ("DISPLAY", "WAYLAND_DISPLAY",
                                    "MAKEFLAGS", "MAKELEVEL")}
        self.output = b""
        self.began = time.time()
        self.process = subprocess.Popen(
            ["make", "run-qemu", "DISK=%s" % (tmp_path / "disk.img"),
             "VNC=unix:%s" % (tmp_path / "vnc")], cwd=TOP, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def expect(self, pattern, start=0, timeout=120):
        deadline = time.time() + timeout
        while not re.search(pattern, self.output[start:]):
            assert time.time() < deadline, self.output[start:].decode()
            self.output += self.process.stdout.read() or b""
            time.sleep(0.02)

    def ask(self, line):
        start = len(self.output)
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        self.expect(PROMPT, start)
        return self.output[start:]


def test_a_second_run_builds_nothing_and_finds_what_was_saved(tmp_path):
    built("aerostat.iso")
    with Run(tmp_path) as run:
        run.expect(PROMPT)
        assert b"  DISK   " in run.output
        run.ask(b"Smalltalk at: #Run put: 77.")
        assert b"false" in run.ask(b"Smalltalk snapshot: true andQuit: false")
    with Run(tmp_path) as run:
        run.expect(PROMPT)
        print("second make run: %.1f s to the prompt" %
              (time.time() - run.began))
        steps = run.output[:run.output.index(b"No display here")]
        assert not re.search(rb"^  [A-Z]+ ", steps, re.M), steps.decode()
        assert b"77" in run.ask(b"Smalltalk at: #Run")
