"""A monkey at the desktop, hosted, with the heap checked after each
collection: nothing may crash, and the desktop must answer afterwards. Longer
runs, by hand: tests/system/monkey.py SEED EVENTS, aerostat --events."""
import os
import subprocess
import time

import pytest

import monkey
from conftest import built

EVENTS = 1000
CUIS_SIZE = (1008, 532)
OUR_SIZE = (1024, 768)


def start(image, size, lines, *words):
    directory = os.path.dirname(image)
    with open(os.path.join(directory, "events"), "w") as f:
        f.write("wait 1500\n" + lines + "wait 500\nscreenshot end.ppm\n")
    return subprocess.Popen(
        [built("aerostat"), "--headless", "--check-heap", "--size",
         "%dx%d" % size, "--write-below", directory, "--events", "events",
         str(image), *words], cwd=directory, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_the_end_of(vm, image):
    deadline = time.time() + 240
    while not os.path.exists(os.path.join(os.path.dirname(image),
                                          "end.ppm")):
        assert vm.poll() is None, vm.stdout.read()
        assert time.time() < deadline, "the events are not taken"
        time.sleep(0.2)


@pytest.mark.parametrize("seed", [10, 14])
def test_cuis_survives_a_monkey(seed, cuis):
    lines = monkey.events(seed, EVENTS, *CUIS_SIZE)
    vm = start(cuis, CUIS_SIZE, lines)
    try:
        wait_for_the_end_of(vm, cuis)
    finally:
        vm.kill()
        vm.wait()


QUIT_IS_OFF = ("ImageSaver class compile: 'quit'. "
               "ImageSaver class compile: 'saveAndQuit'. ")
UI_ANSWERS = ("[:s | World defer: [s signal]. "
              "(s waitTimeoutMilliseconds: 20000)] value: Semaphore new")


def test_our_desktop_survives_a_monkey(image):
    # The interrupt key may take the console's own process.
    lines = monkey.events(85, EVENTS, *OUR_SIZE).replace("key alt+.\n", "")
    vm = start(image, OUR_SIZE, lines, "repl")
    try:
        vm.stdin.write(QUIT_IS_OFF + "Smalltalk openDesktop\n")
        vm.stdin.flush()
        wait_for_the_end_of(vm, image)
        said, _ = vm.communicate("'UI ', (%s) printString\nexit\n" %
                                 UI_ANSWERS, timeout=60)
        assert "'UI false'" in said, said[-3000:]
    finally:
        vm.kill()
        vm.wait()
