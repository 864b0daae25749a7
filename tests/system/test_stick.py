"""The stick: its store grows to its size, asked once; then a system that it
puts on disks inside."""
import subprocess
import time

import pytest

from conftest import built, disk_copy
from desktop import started, type_into_workspace
from machine import FIRMWARE, Machine
from pictures import pixel, until

QUESTION = "Without an answer nothing changes"
SAVE = "Smalltalk snapshot: true andQuit: false"
GB = 1 << 30


def bigger_stick(path):
    """What a user has who wrote the image to a stick of 2 GB."""
    path = disk_copy("aerostat-stick.img", path)
    with open(path, "r+b") as f:
        f.truncate(2 * GB)
    return str(path)


def usb(path, *more):
    return ["-drive", "if=none,id=u,format=raw,file=" + path,
            "-device", "qemu-xhci", "-device", "usb-storage,drive=u", *more]


def sound(path):
    said = subprocess.run(["sgdisk", "-v", path], stdout=subprocess.PIPE)
    return b"No problems found" in said.stdout


@pytest.mark.parametrize("firmware", list(FIRMWARE))
def test_the_store_grows_to_the_stick_and_asks_once(firmware, tmp_path):
    stick = bigger_stick(tmp_path / "stick.img")
    args = FIRMWARE[firmware] + usb(stick, "-device", "usb-kbd")
    name = "stick-%s-" % firmware
    with Machine(args, name=name + "grows") as m:
        m.expect(QUESTION)
        m.screenshot(name + "1-question")
        m.key("ret")
        m.prompt()
        assert "store: grown to 1941 MB" in m.text()
        m.ask("Smalltalk at: #Kept put: 6 * 7")
        assert m.ask(SAVE) == "false"
    assert sound(stick)
    with Machine(args, name=name + "grown") as m:
        m.prompt()
        assert QUESTION not in m.text()
        assert "store: on usb0p4, 1941 MB" in m.text()
        m.until("Smalltalk at: #Kept", "42")


def menu(m):
    """GRUB's menu, which is on the serial line, too."""
    m.expect("BdsDxe: starting")
    deadline = time.time() + 60
    while "GNU GRUB" not in m.text():
        assert time.time() < deadline, m.text()
        m.key("esc")
        m._drain(0.1)
    m.expect("Test the memory")


def test_escape_brings_the_boot_menu_where_shift_is_not_told():
    stick = built("aerostat-stick.img")
    args = FIRMWARE["ovmf"] + usb(stick, "-snapshot")
    with Machine(args, name="stick-menu") as m:
        menu(m)
        m.screenshot("stick-menu")


@pytest.mark.parametrize("keyboard", [[], ["-device", "usb-kbd"]])
def test_shift_brings_the_boot_menu_where_a_bios_tells(keyboard):
    """Its last entry is the serial line's, where no desktop opens."""
    args = usb(built("aerostat-stick.img"), "-snapshot", *keyboard)
    with Machine(args, name="stick-shift-%d" % len(keyboard)) as m:
        def chosen_line():
            m.hold("shift", True)
            shown = m.picture()
            return shown and shown[:2] == (720, 400) and \
                pixel(shown, 650, 71) == b"\xa8\xa8\xa8"
        until(chosen_line, "no menu")
        m.hold("shift", False)
        m.key("end")
        m.key("ret")
        m.prompt()
        assert "desktop:" not in m.text()
        assert m.ask("World") == "nil"


def test_safe_mode_from_the_menu():
    """Its image comes in RAM, its keys and clicks over PS/2."""
    args = FIRMWARE["ovmf"] + usb(built("aerostat-stick.img"), "-snapshot")
    with Machine(args, name="stick-safe") as m:
        menu(m)
        for _ in range(3):
            m.key("down")
        m.key("ret")
        started(m)
        assert "xhci: left out, as asked" in m.text()
        assert "message" not in m.ask("Machine current describe: "
                                      "'interrupts'")
        type_into_workspace(m)
        m.screenshot("stick-safe")


def test_no_is_taken_for_an_answer(tmp_path):
    stick = bigger_stick(tmp_path / "stick.img")
    with Machine(usb(stick), name="stick-declined") as m:
        m.expect(QUESTION)
        m.key("esc")
        m.prompt()
        assert "Left as it is" in m.text()
    assert sound(stick)
    with Machine(usb(stick), name="stick-not-asked-again") as m:
        m.prompt()
        assert QUESTION not in m.text()
        assert "store: on usb0p4, 256 MB" in m.text()


def test_killed_while_it_grows_it_starts_again(tmp_path):
    """Every write is slow, so that the plug is pulled between two."""
    stick = bigger_stick(tmp_path / "stick.img")
    with Machine(usb(stick), name="stick-cut") as m:
        m.expect(QUESTION)
        m.qmp("block_set_io_throttle", device="u", bps=0, bps_rd=0,
              bps_wr=4096, iops=0, iops_rd=0, iops_wr=0)
        m.key("ret")
        with pytest.raises(AssertionError):
            m.expect("grown to", timeout=3)
    with Machine(usb(stick), name="stick-cut-after") as m:
        m.expect(QUESTION)
        m.key("ret")
        m.prompt()
        assert "store: grown to 1941 MB" in m.text()
    assert sound(stick)
