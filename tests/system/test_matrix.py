"""Every way to start, with every kind of disk, keyboard and pointer: boot to
the desktop, type and click, save, pull the plug, come back. A row each, in
the table at the end of the run. MATRIX=full takes all combinations, else
each boot path is taken once, with another kind of input each time."""
import os

import pytest

from conftest import built, disk_copy
from desktop import Tablet, started, type_into_workspace
from machine import Machine, pvh
from media import PATHS, arguments, board

WORKSPACE = "(World windowNamed: 'Workspace') codePane string"
WRITTEN = "'Foo := 6 * (3 + 4) 42'"
INPUTS = {
    "PS/2": (Machine, []),
    "usb-kbd, usb-mouse": (Machine, [
        "-device", "nec-usb-xhci,id=i", "-device", "usb-kbd,bus=i.0",
        "-device", "usb-mouse,bus=i.0"]),
    "usb-kbd, usb-tablet": (Tablet, [
        "-device", "nec-usb-xhci,id=i", "-device", "usb-kbd,bus=i.0",
        "-device", "usb-tablet,bus=i.0"]),
    "virtio-input": (Tablet, ["-device", "virtio-keyboard-pci",
                              "-device", "virtio-tablet-pci"]),
}
CD_DISK = ["-drive", "if=none,id=s,format=raw,file={0}",
           "-device", "virtio-blk-pci,drive=s"]


def rows():
    everything = [(*path, i) for path in PATHS for i in INPUTS]
    if os.environ.get("MATRIX") == "full":
        return everything
    kinds = list(INPUTS)
    return [(*path, kinds[(i + i // 8) % 4]) for i, path in enumerate(PATHS)]


def machine(row, media, run):
    firmware, medium, kind = row
    start, more = INPUTS[kind]
    no_ps2 = "" if kind == "PS/2" else ",i8042=off"
    args = arguments(firmware, medium, media[0]) + more
    if medium == "CD":
        args += [a.format(media[1]) for a in CD_DISK]
    name = "matrix-%s-%s-%s" % (firmware, medium, run)
    return start(args, machine=board(medium) + no_ps2,
                 name=name.replace(", ", "-"))


@pytest.mark.parametrize("row", rows(), ids=lambda row: "-".join(row))
def test_boots_takes_input_saves_and_comes_back(row, tmp_path, table):
    if row[1] == "CD":
        media = [built("aerostat.iso"),
                 disk_copy("blank-disk.img", tmp_path / "disk.img")]
    else:
        media = [disk_copy("aerostat-stick.img", tmp_path / "disk.img")]
    table(*row, "did not start")
    with machine(row, media, "before") as m:
        started(m, timeout=180)
        table(*row, "started; keys or pointer failed")
        type_into_workspace(m)
        table(*row, "took keys and pointer; could not save")
        m.key("alt", "shift", "s")
        m.expect(r"saved \S+\s")
    table(*row, "saved; did not come back")
    with machine(row, media, "after") as m:
        m.prompt(timeout=180)
        m.until(WORKSPACE, WRITTEN)
    table(*row, "started, typed, clicked, saved, killed, came back")


# -- machines --

# Without ACPI, and so without PCI: the serial line is all there is.
MICROVM = "microvm"
MACHINES = [
    # MiB, processor, cores, board
    (64, "qemu64", 1, "pc"), (64, "qemu64", 1, "q35"),
    (512, "qemu64", 2, "q35"), (512, "Nehalem", 4, "pc"),
    (3072, "Skylake-Client", 8, "q35"), (3072, "max", 1, "pc"),
    (5120, "max", 8, "q35"), (5120, "EPYC", 2, "pc"),
    (64, "qemu64", 1, MICROVM), (512, "max", 8, MICROVM),
]


def answers_on_its_line(memory, processor, cores):
    with Machine(pvh(built("aerostat.image"), "repl") + [
            "-vga", "none", "-cpu", processor, "-smp", str(cores)],
            memory=memory, machine=MICROVM,
            name="machine-microvm-%d" % memory) as m:
        m.prompt()
        assert m.ask("1000 factorial printString size") == "2568"


@pytest.mark.parametrize("memory,processor,cores,board", MACHINES)
def test_machines(memory, processor, cores, board, table):
    row = ("%s, %s" % (board, processor), "%d MiB" % memory,
           "%d cores" % cores if cores > 1 else "1 core")
    table(*row, "did not start")
    if board == MICROVM:
        answers_on_its_line(memory, processor, cores)
        return table(*row, "started, answered on the serial line")
    with Machine(pvh(built("aerostat.image")) + [
            "-cpu", processor, "-smp", str(cores)], memory=memory,
            machine=board, name="machine-%s-%d" % (processor, memory)) as m:
        started(m)
        type_into_workspace(m)
    table(*row, "started, typed, clicked")
