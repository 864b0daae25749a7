"""The machine seen from Smalltalk: what drivers written there can reach and
what they must not, the serial mouse, the Hardware browser."""
import os
import re
import subprocess

import pytest

from desktop import started
from machine import BUILD, Machine, pvh

IMAGE = os.path.join(BUILD, "aerostat.image")
MOUSE = ["-chardev", "msmouse,id=mouse",
         "-device", "isa-serial,chardev=mouse,index=1"]
REASON = "[%s] on: HardwareError do: [:e | e messageText]"


@pytest.fixture(scope="module")
def machine():
    """A desktop with PCI devices that no driver of the kernel wants."""
    with Machine(pvh(IMAGE) + ["-device", "edu", "-device", "pci-testdev"] +
                 MOUSE, name="hardware") as m:
        started(m)
        yield m


def reason(m, expression):
    return m.ask(REASON % expression).strip("'")


def function_of(m, ids):
    """Number of the first PCI function with those ids."""
    page = m.ask("(Machine current describe: 'pci') displayString")
    path = re.search(r"(\w+):(\w+)\.(\w)\t" + ids, page)
    bus, slot, function = (int(x, 16) for x in path.groups())
    return bus << 8 | slot << 3 | function


def test_ports(machine):
    m = machine
    # the speaker's port, its two low bits can be set and read back
    assert m.ask("Machine current portAt: 16r61 put: 0. "
                 "(Machine current portAt: 16r61) bitAnd: 3") == "0"
    assert "kernel itself" in reason(m, "Machine current portAt: 16r20")
    assert "kernel itself" in reason(
        m, "Machine current port32At: 16rCF8 put: 16r80000000")
    assert "bad argument" in reason(m, "Machine current portAt: 65536")


def test_pci_configuration(machine):
    m = machine
    edu = function_of(m, "1234:11e8")
    at = "Machine current pciAt: %d " % edu
    assert m.ask(at + "register: 0 bytes: 4") == str(0x11e81234)
    assert m.ask(at + "register: 2 bytes: 2") == str(0x11e8)
    # extended space is there on q35, through memory
    assert m.ask(at + "register: 16r100 bytes: 4") in ("0", str(2**32 - 1))
    assert "no such PCI function" in reason(
        m, "Machine current pciAt: 16rFFFF register: 0 bytes: 4")
    vga = function_of(m, "1234:1111")
    if "bochs" in m.text():
        assert "has it" in reason(
            m, "Machine current pciAt: %d register: 4 bytes: 2 put: 0" % vga)


def open_edu(m):
    """QEMU's device for teaching: its registers, decoding turned on."""
    edu = function_of(m, "1234:11e8")
    m.ask("Machine current pciAt: %d register: 4 bytes: 2 put: 6" % edu)
    m.ask("Smalltalk at: #Edu put: (Machine current memoryAt: "
          "((Machine current pciAt: %d register: 16 bytes: 4) "
          "bitAnd: 16rFFFFFFF0) size: 1048576)" % edu)
    return edu


def test_registers_of_a_device(machine):
    m = machine
    open_edu(m)
    assert m.ask("(Smalltalk at: #Edu) longAt: 0") == str(0x010000ed)
    m.ask("(Smalltalk at: #Edu) longAt: 4 put: 16r12345678")
    assert m.ask("(Smalltalk at: #Edu) longAt: 4") == str(0xedcba987)
    m.ask("(Smalltalk at: #Edu) longAt: 8 put: 10")
    m.until("(Smalltalk at: #Edu) longAt: 8", "3628800")
    assert "bad index" in reason(m, "(Smalltalk at: #Edu) longAt: 1048576")


def test_memory_is_refused(machine):
    m = machine
    for address in ("0", "16r1000", "16r100000", "16r1000000", "16rFEE00000",
                    "16rFEC00000", "16rB0000000"):
        assert "kernel itself" in reason(
            m, "Machine current memoryAt: %s size: 64" % address), address
    assert "kernel itself" in reason(
        m, "Machine current memoryAt: 16rF0000000 size: 16r100000000")


def test_dma_and_interrupt(machine):
    """The device copies a buffer into its own memory and out again, and says
    so by an interrupt, by message."""
    m = machine
    edu = open_edu(m)
    m.ask("Smalltalk at: #Dma put: (Machine current allocate: 8192)")
    m.ask("Smalltalk at: #Irq put: (Machine current interruptOfFunction: "
          "%d)" % edu)
    m.ask("(Smalltalk at: #Dma) replaceFrom: 0 with: 'from memory' "
          "asByteArray")
    copy = ("(Smalltalk at: #Edu) quadAt: 16r80 put: %s; "
            "quadAt: 16r88 put: %s; quadAt: 16r90 put: 11; "
            "quadAt: 16r98 put: %d. (Smalltalk at: #Irq) wait. "
            "(Smalltalk at: #Edu) longAt: 16r64 put: 16r100. "
            "(Smalltalk at: #Irq) done. 'served'")
    memory = "(Smalltalk at: #Dma) address"
    assert m.ask(copy % (memory, "16r40000", 5)) == "'served'"
    assert m.ask(copy % ("16r40000", memory + " + 4096", 7)) == "'served'"
    assert m.ask("((Smalltalk at: #Dma) copyFrom: 4096 count: 11) asString") \
        == "'from memory'"
    assert "has it" in reason(
        m, "Machine current interruptOfFunction: %d" % edu)
    m.ask("(Smalltalk at: #Irq) close. (Smalltalk at: #Dma) free")
    assert "freed" in reason(m, "(Smalltalk at: #Dma) address")


def test_an_interrupt_that_nobody_serves_stops_nothing(machine):
    """The device's line is never told to be quiet: one signal, and the
    machine goes on."""
    m = machine
    edu = open_edu(m)
    m.ask("Smalltalk at: #Irq put: (Machine current interruptOfFunction: "
          "%d)" % edu)
    m.ask("(Smalltalk at: #Edu) longAt: 16r60 put: 1")
    assert m.ask("(Smalltalk at: #Irq) wait. 3 + 4") == "7"
    m.ask("(Smalltalk at: #Edu) longAt: 16r64 put: 1. "
          "(Smalltalk at: #Irq) close")


def test_buffers_that_nobody_knows_are_freed(machine):
    """There is room for 128; those that are known stay."""
    m = machine
    m.ask("Smalltalk at: #Dma put: (Machine current allocate: 4096)")
    m.ask("(Smalltalk at: #Dma) longAt: 0 put: 42")
    m.ask("400 timesRepeat: [(Machine current allocate: 65536) "
          "longAt: 0 put: 1]. 'done'")
    assert m.ask("(Smalltalk at: #Dma) longAt: 0") == "42"
    assert "no such memory" in reason(
        m, "Machine current allocate: 16r40000000")
    assert "no such memory" in reason(
        m, "(1 to: 200) collect: [:i | Machine current allocate: 4096]")


def position(m):
    return tuple(int(v) for v in m.ask(
        "EventSensor default position").split("@"))


def test_serial_mouse(machine):
    m = machine
    m.ask("SerialMouse start")
    assert m.ask("SerialMouse running first isRunning") == "true"
    start = position(m) if "@" in m.ask("EventSensor default position") \
        else (0, 0)
    index = next(i["index"] for i in m.qmp("query-mice")
                 if "Microsoft" in i["name"])
    m.qmp("human-monitor-command",
          **{"command-line": "mouse_set %d" % index})
    m._move(-4000, -4000)
    m.until("EventSensor default position", "0@0")
    m._move(100, 50)
    m.until("EventSensor default position", "100@50")
    assert start is not None
    # changed while it runs: the next packet goes the other way
    m.ask("SerialMouse compile: 'move  machine moveBy: (self stepAt: 3 "
          "high: 2) @ (self stepAt: 2 high: 0) wheel: 0 buttons: self "
          "buttons' classified: #packets")
    m._move(30, 0)
    m.until("EventSensor default position", "100@80")
    m.ask("SerialMouse stop")
    m._move(30, 0)
    assert m.ask("EventSensor default position") == "100@80"


def test_a_driver_lives_in_the_saved_image(tmp_path):
    """Saved while it runs, killed: at the next start it drives again, in a
    machine without the port it says so and stays stopped."""
    disk = str(tmp_path / "disk.img")
    subprocess.run(["cp", "--sparse=always",
                    os.path.join(BUILD, "blank-disk.img"), disk], check=True)
    drive = ["-drive", "if=none,id=d,format=raw,file=" + disk,
             "-device", "virtio-blk-pci,drive=d"]

    def start(*args):
        m = Machine(pvh(IMAGE) + drive + list(args), name="hardware-saved")
        started(m)
        return m

    with start(*MOUSE) as m:
        m.ask("SerialMouse start. Smalltalk at: #Kept put: 42")
        m.ask("WorldMorph current defer: [WorldMenu save]")
        m.until("WorldMenu lastSaved notNil", "true")
        # goes on in the machine that saved
        m.until("SerialMouse running first isRunning", "true")
        m.expect("saved ")
    with start(*MOUSE) as m:
        assert m.ask("Smalltalk at: #Kept") == "42"
        m.until("SerialMouse running first isRunning", "true")
        assert "Smalltalk" in m.ask(
            "(Machine current describe: 'interrupts') displayString")
    with start() as m:
        assert m.ask("Smalltalk at: #Kept") == "42"
        m.until("SerialMouse running size", "0")
        m.expect("SerialMouse: there is no second serial port")


def test_no_hardware():
    args = pvh(IMAGE, "repl")
    args[args.index("-append") + 1] = "nohardware exit=isa image.args=repl"
    with Machine(args, name="nohardware") as m:
        m.prompt()
        assert "no devices" in reason(m, "Machine current portAt: 16r61")
        assert "no devices" in reason(m, "Machine current allocate: 4096")
        assert m.ask("Machine current hasDevices") == "false"
        assert "x" in m.ask("(Machine current describe: 'cpu') size > 10 "
                            "ifTrue: ['x']")


def test_hardware_browser():
    """Names of devices from pci.ids and usb.ids, counts that go on, the disk,
    the log: seen on the desktop."""
    disk = os.path.join(BUILD, "blank-disk.img")
    with Machine(pvh(IMAGE) + [
            "-device", "qemu-xhci", "-device", "usb-hub,port=1",
            "-device", "usb-tablet,port=1.2", "-device", "e1000",
            "-drive", "if=none,id=d,format=raw,snapshot=on,file=" + disk,
            "-device", "virtio-blk-pci,drive=d"], name="hardware-browser",
            ) as m:
        started(m)
        m.ask("Smalltalk at: #B put: nil. WorldMorph current defer: "
              "[Smalltalk at: #B put: HardwareBrowser open]")
        m.until("(Smalltalk at: #B) notNil", "true")
        for page, words in (
                ("PCI", ["Intel 82540EM Gigabit Ethernet Controller",
                         "USB controller", "virtio_blk"]),
                ("USB", ["    xhci0 port", "QEMU USB Tablet", "full speed"]),
                ("Interrupts", ["timer", "serial line", "line 4"]),
                ("Disks", ["virtio0p2", "virtio0"]),
                ("Memory", ["reserved", "free in the kernel"]),
                ("Clocks", ["since the start"]),
                ("Firmware", ["started through PVH"]),
                ("Log", ["pci: ", "memory: "]),
                ("Processor", ["QEMU", "in use", "sse2"])):
            m.ask("WorldMorph current defer: [| list | list := "
                  "(Smalltalk at: #B) instVarNamed: 'pageList'. list choose: "
                  "(list items detect: [:p | p title = '%s'])]" % page)
            rows = "((Smalltalk at: #B) instVarNamed: 'rowList') items"
            m.until("((Smalltalk at: #B) instVarNamed: 'pageList') selection "
                    "title", "'%s'" % page)
            for word in words:
                assert m.ask("%s anySatisfy: [:row | row anySatisfy: [:field "
                             "| field includesSubstring: '%s']]" % (
                                 rows, word)) == "true", (page, word)
            if page == "PCI":
                m.ask("WorldMorph current defer: [((Smalltalk at: #B) "
                      "instVarNamed: 'rowList') chooseIndex: 3]")
                m.until("(((Smalltalk at: #B) instVarNamed: 'details') string"
                        " includesSubstring: 'Command: ')", "true")
            m.screenshot("hardware-" + page.lower())
        count = "(((Machine current describe: 'interrupts') lines detect: " \
            "[:l | l beginsWith: 'timer']) findTokens: String tab) third " \
            "asNumber"
        assert int(m.ask(count)) < int(m.ask(count))
