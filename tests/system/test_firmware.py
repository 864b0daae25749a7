"""Processor and firmware: cores that are parked, clocks and timers, the power
button, reset, configuration space through memory, the machines that QEMU
has."""
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from desktop import started  # noqa: E402
from machine import (BUILD, FIRMWARE, PASS_STATUS, Machine, Stub,  # noqa: E402
                     pvh)

IMAGE = os.path.join(BUILD, "aerostat.image")


def boot(name, *args, words=("repl",), **options):
    m = Machine(pvh(IMAGE, *words) + list(args), name="firmware-" + name,
                **options)
    m.prompt()
    return m


@pytest.mark.parametrize("machine", ["q35", "pc"])
@pytest.mark.parametrize("cpu,cores", [
    ("qemu64", 1), ("qemu64", 8), ("max", 2), ("core2duo", 4)])
def test_processors(machine, cpu, cores):
    with boot("%s-%s-%d" % (machine, cpu, cores), "-cpu", cpu, "-smp",
              str(cores), machine=machine) as m:
        found = re.search(r"processors: (\d+) found, (\d+) parked", m.text())
        if cores == 1:
            assert not found
        else:
            assert found.groups() == (str(cores), str(cores - 1))
            # what they do: nothing
            states = m.qmp("human-monitor-command",
                           **{"command-line": "info registers -a"})
            assert states.count("HLT=1") >= cores - 1, states
        assert m.ask("((Machine current describe: 'cpu') includesSubstring: "
                     "'%d found, 1 in use')" % cores) == "true"
        assert m.ask("(Delay forMilliseconds: 50) wait. 3 + 4") == "7"
        assert "by memory (MCFG)" in m.text() or machine == "pc"


def test_the_clock_is_watched_where_it_may_change():
    with boot("clock") as m:
        assert re.search(r"clock: time stamp counter, [\d.]+ MHz by HPET, "
                         "watched by HPET", m.text())
        m.ask("(Delay forMilliseconds: 2500) wait")
        assert "changes its rate" not in m.text()
    with boot("clock-no-hpet", machine="q35,hpet=off") as m:
        assert "by ACPI's timer" in m.text()
        assert "nothing is there to tell" in m.text()
    with boot("clock-pit", machine="pc,hpet=off,acpi=off") as m:
        assert "by PIT" in m.text()
    with boot("clock-invariant", "-cpu", "max,+invtsc,migratable=off") as m:
        assert re.search("MHz by HPET(, invariant|, watched)", m.text())


def symbol(name):
    table = subprocess.run(["nm", os.path.join(BUILD, "metal",
                                               "kernel.debug")], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    return int(re.search(r"^(\w+) \w %s$" % name, table, re.M).group(1), 16)


def test_a_clock_that_changes_is_corrected(tmp_path):
    """The rate in memory is made wrong, as if the counter had slowed down:
    within two seconds it is right again, and the time never goes back."""
    at = symbol("tsc_hz")
    path = str(tmp_path / "stub")
    with boot("clock-wrong", *Stub.args(path)) as m:
        before = int(m.ask("Time millisecondClockValue"))
        stub = Stub(path)
        hz = int.from_bytes(bytes.fromhex(stub.ask("m%x,8" % at)), "little")
        stub.ask("M%x,8:%s" % (at, (hz // 2).to_bytes(8, "little").hex()))
        stub.go()
        m.expect("changes its rate, HPET keeps it right", timeout=30)
        now = re.search(r"([\d.]+) MHz by HPET", m.ask(
            "(Machine current describe: 'clocks') printString")).group(1)
        assert abs(float(now) * 1e6 - hz) < hz / 100
        assert int(m.ask("Time millisecondClockValue")) >= before


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_power_button(machine):
    """Does what `quit` in the menu does: ends, if nothing would be lost."""
    with boot("button-" + machine, words=(), machine=machine) as m:
        m.until("World notNil", "true")
        assert "power button" in m.ask(
            "(Machine current describe: 'interrupts') displayString")
        m.qmp("system_powerdown")
        assert m.wait(20) == PASS_STATUS


def test_power_button_asks():
    """Twice does no harm."""
    with boot("button-asks", words=()) as m:
        m.until("World notNil", "true")
        m.ask("Object compile: 'lostIfNotSaved ^ 1' classified: #test")
        dialogs = "(World submorphs select: [:each | each isKindOf: " \
            "DialogMorph]) size"
        m.qmp("system_powerdown")
        m.until(dialogs, "1")
        m.qmp("system_powerdown")
        m.ask("(Delay forMilliseconds: 300) wait")
        assert m.ask("3 + 4") == "7"
        m.screenshot("firmware-button-asks")


@pytest.mark.parametrize("machine", ["q35", "pc", "q35,i8042=off"])
def test_restart(machine):
    """In the World menu; asks as `quit` does."""
    with boot("restart-" + machine[-3:], words=(), machine=machine) as m:
        m.until("World notNil", "true")
        m.qmp("set-action", reboot="reset")
        start = len(m.log)
        m.ask("World defer: [ImageSaver restart]")
        m.expect(r"Aerostat, started.*aerostat> ", start=start)
        m.until("World notNil", "true")
        m.ask("Object compile: 'lostIfNotSaved ^ 1' classified: #test")
        m.ask("World defer: [ImageSaver restart]")
        m.until("World dialog notNil", "true")
        assert m.ask("World dialog title") == "'Restart?'"
        assert m.ask("3 + 4") == "7"


@pytest.mark.parametrize("machine,memory", [
    ("q35", 64), ("pc", 64), ("q35", 3072), ("q35", 5120)])
def test_memory_with_a_hole(machine, memory):
    """What lies above 4 GiB is found and counted."""
    with boot("memory-%s-%d" % (machine, memory), machine=machine,
              memory=memory) as m:
        found = int(re.search(r"memory: (\d+) MiB", m.text()).group(1))
        assert memory - 2 <= found <= memory


def test_a_terabyte_with_a_hole():
    """QEMU puts all but 2 GiB of it behind the first terabyte of addresses;
    what nobody touches costs the host nothing."""
    with boot("terabyte", "-object", "memory-backend-ram,id=r,reserve=off,"
              "size=1024G", "-cpu", "max,phys-bits=46", words=(),
              machine="q35,memory-backend=r", memory="1024G") as m:
        found = int(re.search(r"memory: (\d+) MiB", m.text()).group(1))
        assert (1 << 20) - 2 <= found <= 1 << 20
        assert re.search(r"^'?0100\w{8}\t", m.ask(
            "Machine current describe: 'memory'"), re.M)
        assert int(m.ask("Smalltalk bytesLeft")) > 900 << 30
        assert m.ask("(ByteArray new: 5000000000) size") == "5000000000"
        m.until("World notNil", "true")


def test_microvm():
    """A machine without screen, keyboard controller, PCI and most clocks."""
    with Machine(pvh(IMAGE, "eval", "3+4", "poweroff") + ["-vga", "none"],
                 machine="microvm,rtc=on", name="firmware-microvm") as m:
        assert m.wait(30) == PASS_STATUS
        assert re.search(r"^7\r?$", m.text(), re.M)
        assert "by the battery clock" in m.text()
        hz = float(re.search(r"([\d.]+) MHz", m.text()).group(1))
        assert 300 < hz < 10000


# -- UEFI --

PAGE = ("(HardwarePage all detect: [:p | p title = 'Firmware']) rows "
        "collect: [:row | row joinSeparatedBy: ' ']")


def of_firmware(name, firmware, *args):
    return started(Machine(
        FIRMWARE[firmware] + ["-cdrom", os.path.join(BUILD, "aerostat.iso")] +
        list(args), name="firmware-" + name))


@pytest.mark.parametrize("firmware,words", [
    ("seabios", ["firmware BIOS", "not started by UEFI"]),
    ("ovmf32", ["UEFI of 32 bits", "cannot be asked"]),
    ("ovmf", ["UEFI of 64 bits", "QEMU DVD-ROM", "was started by it"])])
def test_the_hardware_browser_tells_what_the_firmware_starts(firmware, words):
    with of_firmware("page-" + firmware, firmware) as m:
        page = m.ask(PAGE)
        for text in words:
            assert text in page, page


def test_firmware_that_faults_is_stopped_and_not_asked_again(tmp_path):
    """Its entry is made to lie where nothing is, as if it had jumped there;
    the machine goes on."""
    path = str(tmp_path / "stub")
    with of_firmware("faults", "ovmf", *Stub.args(path)) as m:
        assert "'UiApp'" in m.ask("FirmwareMenu new titles")
        stub = Stub(path)
        assert stub.ask("M%x,8:%s" % (symbol("get_entry"), (16).to_bytes(
            8, "little").hex())) == "OK"
        stub.go()
        for _ in range(2):
            assert "made a mistake and was stopped" in m.ask(
                "FirmwareMenu new titles")
        assert "made a mistake and was stopped" in m.ask(PAGE)
        assert m.text().count("firmware: the firmware made a mistake") == 1
        assert m.ask("(Delay forMilliseconds: 50) wait. 100 factorial "
                     "printString size") == "158"
