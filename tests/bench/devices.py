"""Rows about disks, ways to start and the sources: what QEMU's block layer
moves beside what the machine moves through a driver; where the time to the
desktop goes; how large kernel and drivers are."""
import glob
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import machine

MEGABYTES, ROUNDS = 64, 5
DRIVE = ["-drive", "if=none,id=d,format=raw,file={}"]
DISKS = {
    "virtio-blk": ["-device", "virtio-blk-pci,drive=d"],
    "virtio-scsi": ["-device", "virtio-scsi-pci",
                    "-device", "scsi-hd,drive=d"],
    "NVMe": ["-device", "nvme,drive=d,serial=n"],
    "AHCI": ["-device", "ide-hd,drive=d,bus=ide.0"],
    "IDE": ["-device", "ide-hd,drive=d,bus=ide.0"],
    "USB stick, xHCI": ["-device", "qemu-xhci",
                        "-device", "usb-storage,drive=d"],
    "USB stick, EHCI": ["-device", "usb-ehci",
                        "-device", "usb-storage,drive=d"],
}
# Where QEMU's device does not pass on a mebibyte as it is, what it makes of
# it, in KiB: its NVMe controller takes so much in a command (hw/nvme/ctrl.c,
# mdts), its SCSI disk fills so large a buffer of its own when it is behind USB
# (hw/scsi/scsi-disk.c, SCSI_DMA_BUF_SIZE).
REQUEST = {"NVMe": 512, "USB stick, xHCI": 128, "USB stick, EHCI": 128}
# Microseconds to move every mebibyte of the disk once.
MOVE = ("[ | disk bytes | disk := ImageStore disks first. "
        "bytes := ByteArray new: 1048576. "
        "Time microsecondsToRun: [ 0 to: %d do: [ :i | "
        "(ImageStore primDisk: disk name sector: i * 2048 bytes: bytes "
        "write: %s) = 0 ifFalse: [ self error: 'disk' ] ] ] ] value")


def speed(m, write):
    """MiB a second that the machine moves."""
    said = m.ask(MOVE % (MEGABYTES - 1, str(write).lower()))
    return MEGABYTES * 1e6 / int(said.split()[-1])


def limit(path, write, kib):
    """MiB a second that QEMU's block layer moves, a request at a time. What
    a device and a processor that are emulated cost besides is not in it: no
    guest reaches it through USB, where QEMU copies everything once more in
    packets of a page to five."""
    turns = 4  # through the disk; once is over too soon
    command = ["qemu-img", "bench", "-f", "raw", "-d", "1",
               "-c", str(turns * MEGABYTES * 1024 // kib),
               "-s", str(kib << 10)] + (["-w"] if write else [])
    said = subprocess.run(command + [path], stdout=subprocess.PIPE,
                          check=True, text=True).stdout
    seconds = float(re.search(r"completed in ([\d.]+) seconds", said)[1])
    return turns * MEGABYTES / seconds


def disks(vm, image):
    if not shutil.which("qemu-img"):
        print("disks: skipped, qemu-img (qemu-utils) is missing")
        return
    with tempfile.TemporaryDirectory() as folder:
        path, other = (os.path.join(folder, n) for n in ("disk", "other"))
        for p in path, other:
            with open(p, "wb") as f:
                f.write(os.urandom(MEGABYTES << 20))
        for name, device in DISKS.items():
            args = machine.pvh(image) + [
                a.format(path) for a in DRIVE + device]
            board = "pc" if name == "IDE" else "q35"
            with machine.Machine(args, machine=board,
                                 name="bench-disk") as m:
                m.prompt()
                for what in "read", "write":
                    write = what == "write"
                    rounds = [(speed(m, write),
                               limit(other, write, REQUEST.get(name, 1024)))
                              for _ in range(ROUNDS)]
                    ours, own = map(statistics.median, zip(*rounds))
                    yield "%s, %s" % (name, what), "MiB/s", ours
                    yield ("  of QEMU's own, " + name + " " + what, "",
                           ours / own)


# -- the way to the desktop --

PATHS = {
    "CD, SeaBIOS": ("seabios", "aerostat.iso", ["-cdrom", "{}"]),
    "CD, OVMF": ("ovmf", "aerostat.iso", ["-cdrom", "{}"]),
    "AHCI, SeaBIOS": ("seabios", "aerostat-stick.img",
                      DRIVE + DISKS["AHCI"]),
    "AHCI, OVMF": ("ovmf", "aerostat-stick.img", DRIVE + DISKS["AHCI"]),
    "USB stick, SeaBIOS": ("seabios", "aerostat-stick.img",
                           DRIVE + DISKS["USB stick, xHCI"]),
    "USB stick, OVMF": ("ovmf", "aerostat-stick.img",
                        DRIVE + DISKS["USB stick, xHCI"]),
}
MILESTONES = (
    ("firmware", rb"Booting from|BdsDxe: starting"),
    ("GRUB", rb"Aerostat, started through"),
    ("kernel", rb"image: [^\n]*entry"),
    ("image", rb"desktop: \d+ ms"),
)


def milestones(m, firmware_log):
    """Seconds since the start at which each was first seen."""
    seen, began = {}, time.time()
    while len(seen) < len(MILESTONES) and time.time() - began < 120:
        m._drain(0.01)
        try:
            firmware_log.append(m.debug.recv(65536))
        except BlockingIOError:
            pass
        said = b"".join(firmware_log) + m.log
        for name, pattern in MILESTONES:
            if name not in seen and re.search(pattern, said):
                seen[name] = time.time() - m.began
    return seen


def watched(args, folder):
    """A machine whose firmware's words are read as well."""
    path = os.path.join(folder, "debug")
    began = time.time()
    m = machine.Machine(args + [
        "-chardev", "socket,id=fw,server=on,wait=off,path=" + path,
        "-device", "isa-debugcon,iobase=0x402,chardev=fw"], name="bench-path")
    m.began = began
    m.debug = socket.socket(socket.AF_UNIX)
    m.debug.connect(path)
    m.debug.setblocking(False)
    return m


def paths(vm, image):
    for name, (firmware, medium, device) in PATHS.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(os.path.join(machine.BUILD, medium), folder)
            args = machine.FIRMWARE[firmware] + [
                a.format(copy) for a in device]
            with watched(args, folder) as m:
                seen = milestones(m, [])
        before = 0
        for part, _ in MILESTONES:
            if part in seen:
                yield "%s: %s" % (name, part), "s", seen[part] - before
                before = seen[part]


# -- sizes --

def sizes(vm, image):
    kernel = os.path.join(machine.BUILD, "metal", "kernel.debug")
    said = subprocess.run(["size", "-A", kernel], stdout=subprocess.PIPE,
                          check=True, text=True).stdout
    found = dict(re.findall(r"^(\.\S+)\s+(\d+)\s+[1-9]", said, re.M))
    for name in (".text", ".rodata", ".data"):
        if name in found:
            yield "kernel, " + name, "KiB", int(found[name]) / 1024
    counts = {}
    for path in glob.glob(os.path.join(machine.TOP, "drivers", "**", "*.c"),
                          recursive=True):
        with open(path) as f:
            counts[os.path.basename(path)] = len(f.readlines())
    yield "lines of a driver's file", "", statistics.median(counts.values())
    longest = max(counts, key=counts.get)
    yield "  the longest, " + longest, "", counts[longest]


ROWS = {"disks": disks, "paths": paths, "sizes": sizes}
