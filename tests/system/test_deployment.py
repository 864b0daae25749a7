"""An image to ship: without the primitives for drivers and what needs them, it
is built, passes the tests that it still has, and starts on the machine."""
import subprocess

import pytest

from conftest import built
from machine import PASS_STATUS, TOP, Machine, pvh
from desktop import open_from_world_menu

# How many methods name them.
USES = ("(CompiledMethod allInstances select: [:each | each primitive = 117 "
        "and: [(each literalAt: 1) first = #AerostatHardware]]) size")
COMPILE = ("Object compile: 'port: p bytes: n <primitive: ''primitivePortRead'' "
           "module: ''AerostatHardware'' error: code> ^ code' "
           "classified: #test")


@pytest.fixture
def image(tmp_path):
    made = subprocess.run(
        ["make", "-s", "deployment", "DEPLOYMENT=%s/shipped" % tmp_path],
        cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert made.returncode == 0, made.stdout
    return str(tmp_path / "shipped.image")


def hosted(image, *words):
    done = subprocess.run([built("aerostat"), "--headless", image, *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_nothing_refers_to_devices(image):
    assert int(hosted(built("aerostat.image"), "eval", USES)[-1]) > 10
    assert hosted(image, "eval", USES) == ["0"]
    for name in "Machine", "SerialMouse", "InstallDialog", "HardwareBrowser":
        assert hosted(image, "eval",
                      "Smalltalk includesKey: #" + name) == ["false"]


def test_what_is_left_passes_its_tests(image):
    last = hosted(image, "test")[-1]
    passed = int(last.split()[0])
    assert last == "%d passed, 0 failed" % passed
    assert passed > 500


def test_it_starts_and_the_doors_stay_shut(image):
    args = pvh(image)
    args[args.index("-append") + 1] += "nohardware"
    with Machine(args, name="deployment") as m:
        m.prompt()
        m.until("World notNil", "true")
        assert m.ask(USES) == "0"
        m.ask(COMPILE)
        assert m.ask("Object new port: 97 bytes: 1") == "#'unsupported operation'"
        open_from_world_menu(m, "open...")
        m.until("(World boundsOfMenuItem: 'Workspace') notNil", "true")
        assert m.ask("World boundsOfMenuItem: 'Hardware'") == "nil"
        assert m.ask("World boundsOfMenuItem: 'install to disk...'") == "nil"
        m.screenshot("deployment")
        m.ask("World defer: [Smalltalk quit]")
        assert m.wait(20) == PASS_STATUS
