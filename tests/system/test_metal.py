"""The booted kernel asked over its serial line, started by PVH."""
import struct

import pytest

from conftest import built, disk_copy, hosted
from machine import PASS_STATUS, Machine, pvh
from test_hosted import EXPRESSIONS
from test_third_party import PHARO_LIST


def test_the_same_expressions_give_the_same_lines():
    with Machine(pvh(built("aerostat.image"), "repl"), name="repl") as m:
        m.prompt()
        for expression, answer in EXPRESSIONS:
            assert m.ask(expression) == answer
        assert "ZeroDivide" in m.ask("1/0")
        assert m.ask("3+4") == "7"


def test_eval_and_power_off():
    with Machine(pvh(built("aerostat.image"), "eval", "3+4", "poweroff"),
                 name="eval") as m:
        assert m.wait() == PASS_STATUS, m.text()
        assert "\n7" in m.text().replace("\r", "")


def test_the_images_own_tests_pass_on_the_machine(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    with Machine(pvh(built("aerostat.image"), "test", "poweroff") + [
            "-drive", "file=%s,format=raw,if=none,id=d" % disk,
            "-device", "virtio-blk-pci,drive=d"],
                 memory=512, name="tests") as m:
        found = m.expect(r"^(\d+) passed, (\d+) failed", timeout=1200)
        assert int(found.group(2)) == 0, m.text()
        assert int(found.group(1)) > 100
        assert m.wait() == PASS_STATUS


def test_pharo_on_the_machine(pharo):
    # Its first run only saves itself, which a machine in RAM cannot.
    assert hosted(pharo).returncode == 0
    with Machine(pvh(str(pharo), "--list"), name="pharo") as m:
        m.expect("Rename the image and changes file", timeout=120)
        assert PHARO_LIST in m.text().replace("\r", "")


# -- what must be refused: one clear line, no reboot loop, no hang --

def corrupt(tmp_path, change):
    data = bytearray(open(built("aerostat.image"), "rb").read())
    changed = change(data)
    data = data if changed is None else changed
    path = tmp_path / "bad.image"
    path.write_bytes(data)
    return str(path)


def put(format, at, value):
    def change(data):
        struct.pack_into(format, data, at, value)
    return change


REFUSALS = {
    "truncated": lambda d: d[:len(d) // 2],
    "unknown-format": put("<I", 0, 12345),
    "lying-size": put("<Q", 8, 1 << 40),
    "lying-header-size": put("<I", 4, 1 << 30),
    "lying-first-segment": put("<Q", 72, 0xfffffffffffffff8),
    "wild-special-objects": put("<Q", 24, 0xdeadbeef000),
    "empty": lambda d: d[:0],
    "garbage": lambda d: bytes(i * 7 & 255 for i in range(100000)),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_bad_image_is_refused(name, tmp_path):
    path = corrupt(tmp_path, REFUSALS[name])
    with Machine(pvh(path, stays=True), name="refuse-" + name) as m:
        m.expect(r"cannot|refused|no image", timeout=60)
        m.screenshot("refuse-" + name)
        assert "PANIC" not in m.text()


def test_no_image_anywhere_is_said():
    with Machine(pvh(None, stays=True), name="no-image") as m:
        m.expect(r"no image", timeout=60)


def test_too_little_memory_is_said():
    with Machine(pvh(built("aerostat.image"), stays=True), memory=24,
                 name="low-memory") as m:
        m.expect(r"MiB of memory are free, at least \d+ MiB are needed",
                 timeout=60)


def test_a_cpu_without_a_needed_feature_is_refused():
    with Machine(["-cpu", "qemu64,-nx"] +
                 pvh(built("aerostat.image"), stays=True),
                 name="no-nx") as m:
        m.expect(r"this processor lacks no-execute", timeout=60)


# What draws is chosen by processor; the bits of a picture that went through
# all of it tell whether it draws the same.
DRAWN = ("[ | f c bits | f := Form extent: 200 @ 100. c := Canvas onForm: f. "
         "c fillRectangle: (3 @ 3 corner: 150 @ 90) color: Color red; "
         "shadowOf: (30 @ 30 corner: 90 @ 60) blur: 12 color: Color black; "
         "fillEllipse: (20 @ 40 corner: 60 @ 80) "
         "color: (Color green alpha: 0.3); drawString: 'Aerostat' "
         "at: 10 @ 20 font: Theme uiFont color: Color blue; "
         "drawImage: (f scaledTo: 150 @ 70) at: 40 @ 20. "
         "bits := f bits. (1 to: bits size) inject: 0 into: "
         "[ :sum :i | sum * 31 + (bits at: i) \\\\ 16r3FFFFFFF ] ] value")


def drawing(processor, loops, options=""):
    args = pvh(built("aerostat.image"), "repl")
    args[args.index("-append") + 1] += options
    with Machine(["-cpu", processor] + args, name="draws-" + loops) as m:
        m.expect("loops for " + loops)
        m.prompt()
        answer = m.ask(DRAWN)
        assert answer.strip().isdigit(), answer
        return answer


def test_avx2_is_used_where_the_processor_has_it():
    assert drawing("max", "avx2") == drawing("qemu64", "sse2")


def test_memory_above_4_gib_is_used():
    with Machine(pvh(built("aerostat.image"), "repl"), memory=5120,
                 name="big-memory") as m:
        m.prompt()
        assert m.ask("(ByteArray new: 100000000) size") == "100000000"
