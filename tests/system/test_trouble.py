"""When it goes wrong: the panic's QR code, the log kept across a warm start,
the log on a key."""
import os
import shutil
import subprocess

import pytest

from conftest import disk_copy
from desktop import started
from machine import BUILD, Machine, pvh
from pictures import at_rest, unlike, until

IMAGE = os.path.join(BUILD, "aerostat.image")
F12, PAGE = "f12", "pgup"


def desktop(name, args=None):
    return started(Machine(args or pvh(IMAGE, stays=True), name=name))


def panic(m):
    m.rests()  # nobody is in the middle of a line
    m.qmp("inject-nmi")
    m.expect(r"Aerostat has stopped: non-maskable interrupt")
    m.expect(r">>\S+")


@pytest.mark.skipif(not shutil.which("zbarimg"),
                    reason="zbarimg (Debian package zbar-tools) is missing")
@pytest.mark.parametrize("size", ["1280x800", "800x600", "1920x1080"])
def test_a_camera_reads_the_panic(size):
    with desktop("panic-code-" + size, [
            "-kernel", os.path.join(BUILD, "kernel.elf"), "-initrd", IMAGE,
            "-append", "video=" + size]) as m:
        panic(m)
        text = ""
        for _ in range(20):
            m._drain(0.5)
            picture = m.screenshot("panic-code-" + size)
            text = subprocess.run(
                ["zbarimg", "-q", "--raw", picture], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True).stdout
            if text:
                break
        assert text.startswith("Aerostat has stopped: non-maskable "
                               "interrupt\nrip ffffffff8"), text
        assert "C stack:\n" in text and ">>" in text, text


def test_the_log_outlives_a_panic():
    with desktop("last-log") as m:
        m.qmp("set-action", reboot="reset")
        assert m.ask("Machine current describe: 'lastlog'") == "nil"
        panic(m)
        start = len(m.log)
        m.key("a")
        m.expect(r"aerostat> ", start=start)
        m.until("World notNil", "true")
        last = "(Machine current describe: 'lastlog') includesSubstring: "
        assert m.ask(last + "'non-maskable interrupt'") == "true"
        assert m.ask(last + "'F12 shows this log'") == "true"
        assert m.ask("((Machine current describe: 'log') includesSubstring: "
                     "'non-maskable')") == "false"
        m.key(F12)
        m.key("tab")
        m.ask("(Delay forMilliseconds: 500) wait")
        m.screenshot("last-log-tab")


@pytest.mark.parametrize("name,args", [
    ("xhci", ["-device", "qemu-xhci", "-device", "usb-kbd"]),
    ("hub", ["-device", "qemu-xhci", "-device", "usb-hub,port=1",
             "-device", "usb-kbd,port=1.2"]),
    ("ehci", ["-device", "usb-ehci", "-device", "usb-kbd"]),
    ("lines", ["-device", "qemu-xhci", "-device", "usb-kbd"]),
    ("virtio", ["-device", "virtio-keyboard-pci"])])
def test_any_keyboard_starts_again_after_a_panic(name, args):
    start = pvh(IMAGE, stays=True)
    if name == "lines":
        start[start.index("-append") + 1] += " nomsi"
    with Machine(start + args, machine="q35,i8042=off",
                 name="panic-key-" + name) as m:
        m.prompt()
        m.until("World notNil", "true")
        m.qmp("set-action", reboot="reset")
        m.key("b")  # typed before: no reason to start again
        panic(m)
        while m._drain(3):
            pass  # all has been said, and nobody starts anything
        start = len(m.log)
        m.key("a")
        m.expect(r"aerostat> ", start=start)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_the_log_outlives_a_reset(firmware):
    """Firmware and GRUB work between the two runs, and leave it alone."""
    args = ["-cdrom", os.path.join(BUILD, "aerostat.iso")]
    if firmware == "uefi":
        args += ["-bios", "/usr/share/ovmf/OVMF.fd"]
    with desktop("log-reset-" + firmware, args) as m:
        m.qmp("set-action", reboot="reset")
        assert m.ask("Machine current describe: 'lastlog'") == "nil"
        start = len(m.log)
        m.qmp("system_reset")
        m.expect("Aerostat, started", start=start)
        m.expect(r"aerostat> ", start=start)
        m.until("World notNil", "true")
        assert m.ask("(Machine current describe: 'lastlog') "
                     "includesSubstring: 'World notNil'") == "false"
        assert m.ask("(Machine current describe: 'lastlog') "
                     "includesSubstring: 'F12 shows this log'") == "true"


def test_the_log_outlives_a_power_off(tmp_path):
    """On the disk that has the store: what a killed machine said some seconds
    ago, what one that was switched off said last, and a panic's text once the
    machine has started again."""
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(IMAGE, stays=True) + [
        "-drive", "if=none,id=d,format=raw,cache=writethrough,file=%s" % disk,
        "-device", "virtio-blk-pci,drive=d"]

    def last_has(m, text):
        return m.ask("((Machine current describe: 'lastlog') ifNil: ['']) "
                     "includesSubstring: '%s'" % text) == "true"

    with desktop("log-killed", args) as m:
        assert m.ask("Machine current describe: 'lastlog'") == "nil"
        m.ask("Transcript show: 'first', 'run'; cr; flush")
        m.until("(FileSystem root / 'AEROSTAT.LOG') exists and: ["
                "(FileSystem root / 'AEROSTAT.LOG') textContents "
                "includesSubstring: 'first', 'run']", "true")
    with desktop("log-switched-off", args) as m:
        assert last_has(m, "firstrun") and last_has(m, "F12 shows this log")
        m.ask("Transcript show: 'second', 'run'; cr; flush")
        m.ask("World defer: [Smalltalk quit]")
        assert m.wait(20) == 0
    with desktop("log-panic", args) as m:
        assert last_has(m, "secondrun") and not last_has(m, "firstrun")
        m.qmp("set-action", reboot="reset")
        panic(m)
        start = len(m.log)
        m.key("a")
        m.expect(r"aerostat> ", start=start)
        m.until("(FileSystem root / 'AEROSTAT.OLD') textContents "
                "includesSubstring: 'non-maskable'", "true")


def test_the_log_on_a_key():
    with desktop("log-key") as m:
        desk = at_rest(m.picture)
        m.key(F12)
        until(lambda: unlike(desk, m.picture()), "no log")
        log = m.picture()
        m.screenshot("log-key-log")
        m.ask("1 to: 60 do: [:i | Transcript show: i printString; cr]. "
              "Transcript flush. (Delay forMilliseconds: 300) wait")
        # the desktop draws behind it, keys do not reach it
        m.ask("WorldMorph current defer: [Workspace open]")
        m.until("(World windowNamed: 'Workspace') notNil", "true")
        m.key("x")
        m.key(PAGE)
        m.ask("(Delay forMilliseconds: 300) wait")
        assert m.ask("(World windowNamed: 'Workspace') codePane string") \
            == "''"
        m.screenshot("log-key-page")
        m.key(F12)
        until(lambda: unlike(log, m.picture()), "no desktop")
        m.screenshot("log-key-after")
        m.ask("WorldMorph current defer: [(World windowNamed: 'Workspace') "
              "closeNow]")
        m.key("x")


KEYBOARDS = [
    ("ps2", "q35", []),
    ("usb", "q35,i8042=off", ["-device", "qemu-xhci", "-device", "usb-kbd"]),
    ("virtio", "q35,i8042=off", ["-device", "virtio-keyboard-pci"])]


@pytest.mark.parametrize("name,board,args", KEYBOARDS)
def test_the_log_is_there_while_the_image_hangs(name, board, args):
    """More urgent than all that could draw or stop it."""
    with started(Machine(pvh(IMAGE) + args, machine=board,
                         name="log-hangs-" + name)) as m:
        desk = at_rest(m.picture)
        m.serial.sendall(b"[ConsoleStream stdout nextPutAll: 'begun'; lf; "
                         b"flush. [true] whileTrue] forkAt: "
                         b"Processor highestPriority\n")
        m.expect(r"begun\r?\n")
        m.key(F12)
        until(lambda: unlike(desk, m.picture()), "no log")


@pytest.mark.parametrize("name,board,args", KEYBOARDS)
def test_a_key_starts_again_after_a_refusal(name, board, args, tmp_path):
    path = tmp_path / "no.image"
    path.write_bytes(b"no image" * 1000)
    with Machine(pvh(str(path), stays=True) + args, machine=board,
                 name="refused-" + name) as m:
        m.expect(r"^Aerostat: cannot run.*A key on the keyboard")
        m.screenshot("refused-" + name)
        m.key("a")
        assert m.wait(20) == 0


def memory_test(name, board, args):
    return Machine(["-kernel", os.path.join(BUILD, "kernel.elf"), "-initrd",
                    IMAGE, "-append", "memtest"] + args, memory=96,
                   machine=board, name="memory-test-" + name)


@pytest.mark.parametrize("name,board,args", KEYBOARDS)
def test_memory_test(name, board, args):
    """A pass over all that is free, progress on the screen, Esc restarts."""
    with memory_test(name, board, args) as m:
        m.expect(r"memory test: pass \d+, 0 words wrong")
        m.screenshot("memory-test-" + name)
        m.key("a")  # and no other key does
        m.key("esc")
        assert m.wait(20) == 0
        assert "starts again" in m.text()


def test_memory_test_ends_by_the_power_button():
    with memory_test("power", "q35", []) as m:
        m.expect(r"memory test: pass \d+, 0 words wrong")
        m.qmp("system_powerdown")
        assert m.wait(20) == 0
        assert "switched off" in m.text()


def test_safe_mode_needs_no_more_than_a_pc_had():
    """The words of the boot menu's entry are drivers that exist; the screen
    is the boot loader's, input PS/2, interrupts lines."""
    with open(os.path.join(BUILD, "..", "iso", "grub.cfg")) as f:
        words = f.read().split("safe mode")[1].split("aerostat ")[1]
    words = words.split("}")[0].replace("\\\n", " ").split()
    with open(os.path.join(BUILD, "..", "drivers", "drivers.def")) as f:
        known = f.read()
    for name in words[1].split("=")[1].split(","):
        assert "DRIVER(%s)" % name in known, name
    with Machine(["-cdrom", os.path.join(BUILD, "aerostat.iso"),
                  "-fw_cfg", "name=opt/aerostat/args,string=" +
                  ",,".join(" ".join(words).split(",")),
                  "-device", "qemu-xhci", "-device", "usb-tablet"],
                 name="safe-mode") as m:
        started(m)
        log = m.text()
        for name in words[1].split("=")[1].split(","):
            assert "%s: left out, as asked" % name in log, name
        assert "boot loader's" in log and "Bochs" not in log
        assert "message" not in m.ask("Machine current describe: "
                                      "'interrupts'")
        m.move_to(300, 200)
        m.until("EventSensor default position", "300@200")
