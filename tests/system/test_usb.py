"""USB on the machine: controllers, hubs, keyboards, pointers, sticks; what
is plugged in and pulled out while it runs. PS/2 is taken away, so that every
key and click comes over USB."""
import re

import pytest

from conftest import built, disk_copy
from desktop import (HEIGHT, WIDTH, Tablet, centre, open_from_world_menu,
                     point, started, type_into_workspace, window)
from machine import Machine, blank, pvh
from pictures import until

NO_PS2 = "q35,i8042=off"


def boot(name, *args, words=(), machine=NO_PS2, kind=Machine):
    m = kind(pvh(built("aerostat.image"), *words) + list(args),
                machine=machine, name="usb-" + name)
    m.prompt()
    return m


def desktop(name, *args, kind=Machine):
    return started(boot(name, *args, kind=kind))


def log_of(m):
    return m.text().replace("\r", "")


# -- keyboards and pointers --

@pytest.mark.parametrize("controller", ["qemu-xhci", "nec-usb-xhci",
                                        "usb-ehci", "ich9-usb-ehci1"])
def test_keyboard_and_mouse(controller):
    with desktop("keyboard-" + controller, "-device", controller, "-device",
                 "usb-kbd", "-device", "usb-mouse") as m:
        assert "ps2: not usable" in m.text()
        type_into_workspace(m)


@pytest.mark.parametrize("machine,controller", [
    ("pc,acpi=off,i8042=off", "qemu-xhci"),
    ("q35,i8042=off", "nec-usb-xhci,msi=off,msix=off"),
    ("q35,i8042=off", "nec-usb-xhci,msix=off"),
])
def test_every_kind_of_interrupt(machine, controller):
    with boot("interrupt", "-device", controller, words=["repl"],
              machine=machine) as m:
        m.qmp("device_add", driver="usb-kbd", id="k")
        m.expect(r"Keyboard, [^\n]*\n")
        assert "the clock does" not in m.text()
        assert m.ask("3+4") == "7"


def test_safe_mode_leaves_usb_to_the_firmware(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image"), "repl")
    at = args.index("-append") + 1
    args[at] = "without=xhci,ehci nomsi " + args[at]
    args += ["-device", "qemu-xhci", "-device", "usb-mouse", "-drive",
             "file=%s,format=raw,if=none,id=d" % disk, "-device",
             "virtio-blk-pci,drive=d"]
    with Machine(args, name="usb-safe") as m:
        m.prompt()
        assert "xhci: left out, as asked" in m.text()
        assert "ehci: left out, as asked" in m.text()
        assert "Mouse" not in m.text()
        assert m.ask(SAVE) == "false"  # the disk's line interrupts


def test_slow_devices_of_ehci_are_left_to_its_companions():
    with boot("companions", "-device", "ich9-usb-ehci1,id=e",
              "-device", "ich9-usb-uhci1,masterbus=e.0,firstport=0",
              "-device", "usb-hub", words=["repl"]) as m:
        assert "UHCI controller at" in m.text()
        assert "left to the companion controller" in m.text()
        m.qmp("device_add", driver="usb-kbd", id="k", port="2")
        m.expect(r"ehci0 port 2: [^\n]*Keyboard, [^\n]*\n")


def test_they_work_behind_a_hub():
    with desktop("hub", "-device", "qemu-xhci", "-device",
                 "usb-hub,port=2", "-device", "usb-kbd,port=2.3",
                 "-device", "usb-hub,port=2.1", "-device",
                 "usb-mouse,port=2.1.4") as m:
        assert re.search(r"port \d+\.3: .*Keyboard", m.text())
        assert re.search(r"port \d+\.1\.4: .*Mouse", m.text())
        type_into_workspace(m)


def test_a_tablet_points_where_it_touches():
    with desktop("tablet", "-device", "qemu-xhci", "-device", "usb-tablet",
                 kind=Tablet) as m:
        for x, y in (100, 100), (WIDTH - 1, HEIGHT - 1), (0, 0), (640, 400):
            m.move_to(x, y)
            m.until("World hand position", "%d@%d" % (x, y))
        m.click(*point(m, "World emptySpot"))
        m.until("(World boundsOfMenuItem: 'open...') notNil", "true")


def test_a_key_held_down_repeats():
    with desktop("repeat", "-device", "qemu-xhci", "-device", "usb-kbd",
                 "-device", "usb-mouse") as m:
        open_from_world_menu(m, "open...", "Workspace")
        w = window(m, "Workspace")
        m.click(*centre(m, w + " codePane"))
        m.hold("a", True)
        m.until(w + " codePane string size > 5", "true")
        m.hold("a", False)
        m.at_rest(w + " codePane string size")


def test_a_keyboard_is_plugged_in_and_out():
    with desktop("hot-keyboard", "-device", "qemu-xhci", "-device",
                 "usb-mouse") as m:
        for n in (1, 2):
            m.qmp("device_add", driver="usb-kbd", id="k%d" % n, port="4")
            m.expect(r"(?:port \d+: [^\n]*Keyboard, [^\n]*\n.*){%d}" % n)
            w = type_into_workspace(m)
            m.qmp("device_del", id="k%d" % n)
            m.expect(r"(?:Keyboard unplugged\r\n.*){%d}" % n)
            m.until("%s delete. World submorphs isEmpty not" % w, "true")


def test_a_keyboard_is_plugged_into_a_hub_that_goes_and_comes():
    with desktop("hub-keyboard", "-device", "qemu-xhci", "-device",
                 "usb-mouse,port=2") as m:
        for n in (1, 2):
            start = len(m.log)
            m.qmp("device_add", driver="usb-hub", id="h%d" % n, port="1")
            m.expect(r"Hub, [^\n]*: hub\r\n", start=start)
            m.qmp("device_add", driver="usb-kbd", id="k%d" % n, port="1.3")
            m.expect(r"port \d+\.3: [^\n]*Keyboard, [^\n]*\n", start=start)
            w = type_into_workspace(m)
            m.qmp("device_del", id=("k" if n == 1 else "h") + str(n))
            m.expect(r"Keyboard unplugged\r\n", start=start)
            m.until("%s delete. World submorphs isEmpty not" % w, "true")
            if n == 1:
                m.qmp("device_del", id="h1")
                m.expect(r"Hub unplugged\r\n", start=start)


def test_pulling_a_hub_pulls_what_hangs_on_it():
    with boot("hot-hub", "-device", "qemu-xhci", words=["repl"]) as m:
        m.qmp("device_add", driver="usb-hub", id="h", port="1")
        m.expect(r"Hub, .*: hub\r\n")
        m.qmp("device_add", driver="usb-kbd", id="k", port="1.5")
        m.expect(r"port \d+\.5: [^\n]*Keyboard, [^\n]*\n")
        m.qmp("device_del", id="h")
        m.expect(r"Keyboard unplugged\r\n.*Hub unplugged\r\n|"
                 r"Hub unplugged\r\n.*Keyboard unplugged\r\n")
        assert m.ask("3+4") == "7"


# -- sticks --

def stick(path, *more, controller="qemu-xhci", **properties):
    device = "usb-storage,drive=s,id=st" + "".join(
        ",%s=%s" % p for p in properties.items())
    return ["-device", controller, "-drive", "file=%s,format=raw,if=none,"
            "id=s%s" % (path, "".join("," + o for o in more)),
            "-device", device]


SAVE = "Smalltalk snapshot: true andQuit: false"


@pytest.mark.parametrize("controller", ["qemu-xhci", "usb-ehci"])
def test_a_stick_is_pulled_and_comes_back(controller, tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    device = stick(disk, serial="A1", controller=controller)
    with boot("hot-stick-" + controller, *device, words=["repl"]) as m:
        assert "store: on usb0p2" in m.text()
        assert m.ask(SAVE) == "false"
        m.qmp("device_del", id="st")
        m.expect(r"usb0: unplugged\r\n")
        assert "disk with the store is not plugged in" in m.ask(SAVE)
        assert m.ask("Smalltalk at: #Kept put: 6 * 7") == "42"
        again(m, disk, "A1")
        m.expect(r"store: on usb0p2 again\r\n")
        assert m.ask(SAVE) == "false"
    with boot("hot-stick-after", *device) as m:
        m.until("Smalltalk at: #Kept", "42")


def test_the_desktop_tells_of_a_pulled_stick(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    with desktop("told", *stick(disk, serial="A1"), "-device",
                 "usb-mouse") as m:
        bar = "(World taskBar statusText includesSubstring: 'pulled out')"
        assert m.ask(bar) == "false"
        m.qmp("device_del", id="st")
        m.until(bar, "true")
        m.screenshot("usb-pulled")
        open_from_world_menu(m, "save")
        m.until("World submorphs anySatisfy: [:e | "
                "e isKindOf: DialogMorph]", "true")
        m.screenshot("usb-not-saved")
        assert "not plugged in" in m.ask("ImageStore lastError")
        again(m, disk, "A1")
        m.until(bar, "false")


def again(m, path, serial):
    m.qmp("blockdev-add", **{
        "driver": "raw", "node-name": "again",
        "file": {"driver": "file", "filename": str(path)}})
    m.qmp("device_add", driver="usb-storage", id="st2", drive="again",
          serial=serial)


def test_another_stick_is_not_taken_for_the_first(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    other = disk_copy("blank-disk.img", tmp_path / "other.img")
    with boot("other-stick", *stick(disk, serial="A1"),
              words=["repl"]) as m:
        m.qmp("device_del", id="st")
        m.expect(r"usb0: unplugged\r\n")
        again(m, other, "B2")
        m.expect(r"usb1: QEMU[^\n]*\n[^\n]*: disk\r\n")
        assert "not plugged in" in m.ask(SAVE)


def written(m):
    """Bytes, to all disks."""
    return sum(each["stats"]["wr_bytes"]
               for each in m.qmp("query-blockstats"))


@pytest.mark.parametrize("back", [False, True])
def test_a_stick_pulled_during_a_save_loses_nothing(back, tmp_path):
    """The state before is there; plugged in again, it is saved to."""
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    slow = "throttling.bps-write=1000000"
    with boot("pulled-save", *stick(disk, slow, serial="A1"),
              words=["repl"]) as m:
        assert m.ask("Smalltalk at: #Kept put: 1") == "1"
        assert m.ask(SAVE, timeout=120) == "false"
        start = len(m.log)
        m.ask("Smalltalk at: #Kept put: 2")
        m.serial.sendall(SAVE.encode() + b"\n")
        begun = written(m)
        until(lambda: written(m) > begun + 1000000, "nothing is written")
        m.qmp("device_del", id="st")
        m.expect(r"nil\s+aerostat> ", start=start)
        assert m.ask("3+4") == "7"
        if back:
            again(m, disk, "A1")
            m.expect(r"store: on usb0p2 again\r\n", start=start)
            assert m.ask(SAVE, timeout=120) == "false"
    with boot("pulled-save-after", *stick(disk, serial="A1")) as m:
        m.until("Smalltalk at: #Kept", "2" if back else "1")


def test_two_units_and_sectors_of_4096_bytes(tmp_path):
    small, big = tmp_path / "small.img", tmp_path / "big.img"
    for path, size in (small, 16), (big, 128):
        blank(path, size)
    with boot("units", "-device", "qemu-xhci", "-device", "usb-bot,id=b",
              "-drive", "file=%s,format=raw,if=none,id=d0" % small,
              "-drive", "file=%s,format=raw,if=none,id=d1" % big,
              "-device", "scsi-hd,bus=b.0,lun=0,drive=d0",
              "-device", "scsi-hd,bus=b.0,lun=1,drive=d1,"
              "logical_block_size=4096,physical_block_size=4096",
              words=["repl"]) as m:
        assert "16 MB, sectors of 512" in m.text()
        assert "128 MB, sectors of 4096" in m.text()


def test_a_write_protected_stick_is_read_and_not_written(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    with boot("protected", *stick(disk, "readonly=on"),
              words=["repl"]) as m:
        assert "write-protected" in m.text()
        assert "store: on usb0p2" in m.text()
        assert "the disk is read-only" in m.ask(SAVE)


@pytest.mark.parametrize("errno", [5, 28])
def test_a_stick_that_fails_is_an_error_and_no_hang(errno, tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    rules = tmp_path / "rules"
    rules.write_text('[inject-error]\nevent = "write_aio"\nerrno = "%d"\n'
                     'immediately = "off"\nonce = "off"\n' % errno)
    device = ["-device", "qemu-xhci", "-drive",
              "file=blkdebug:%s:%s,format=raw,if=none,id=s,werror=report"
              % (rules, disk), "-device", "usb-storage,drive=s"]
    with boot("failing-%d" % errno, *device, words=["repl"]) as m:
        assert "could not be written" in m.ask(SAVE)
        assert m.ask("3+4") == "7"


def test_two_controllers_and_two_sticks(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "stick.img")
    other = disk_copy("blank-disk.img", tmp_path / "other.img")
    with boot("two", *stick(disk), "-device", "nec-usb-xhci,id=second",
              "-drive", "file=%s,format=raw,if=none,id=o" % other,
              "-device", "usb-storage,drive=o,bus=second.0",
              words=["repl"]) as m:
        assert "xhci1: " in m.text()
        assert "usb0: " in m.text() and "usb1: " in m.text()
