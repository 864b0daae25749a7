"""Disks and saving as a person meets them: no place to save yet, a full
store, several images, quitting, changes that a crash left behind."""
import hashlib
import socket
import subprocess
import time

import pytest

from conftest import built, disk_copy
from desktop import (bring_to_front, click_text, dialog, no_dialog,
                     open_from_world_menu, press, started, window,
                     write_in_workspace)
from machine import PASS_STATUS, TOP, Machine, blank, pvh

def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(
            hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()


def virtio(path, name="d"):
    return ["-drive", "file=%s,format=raw,if=none,id=%s" % (path, name),
            "-device", "virtio-blk-pci,drive=" + name]


def sata(path, name="e", bus="ide.1"):
    return ["-drive", "file=%s,format=raw,if=none,id=%s" % (path, name),
            "-device", "ide-hd,drive=%s,bus=%s" % (name, bus)]


def cd(*rest):
    return ["-boot", "d", "-cdrom", built("aerostat.iso")] + list(rest)


def desktop(args, name, memory=256):
    return started(Machine(args, memory=memory, name="disks-" + name),
                   timeout=60)


def saved(m, within=60):
    """Waits for the next save from the menu; answers where it went. The note
    on the screen says the same, for some seconds."""
    found = m.expect(r"saved /\S+ in [\d.]+ s to ([^\r\n]+)\r?\n", within,
                     getattr(m, "seen_saved", 0))
    m.seen_saved = found.end()
    return found.group(1).decode()


def asks_nothing(m):
    """A start that has something to ask does so by an alarm."""
    m.expect("desktop: ")
    m.until("(World instVarNamed: 'alarms') isEmpty", "true")
    m.rests()
    assert m.ask("World dialog") == "nil"


# -- a machine without a store --

@pytest.mark.parametrize("medium", ["cd", "ram"])
def test_an_empty_disk_is_offered_and_becomes_the_place(medium, tmp_path):
    disk = blank(tmp_path / "disk.img", 300)
    args = (cd(*virtio(disk)) if medium == "cd" else
            pvh(built("aerostat.image")) + sata(disk))
    with desktop(args, "empty-%s-before" % medium) as m:
        m.until("World taskBar statusText includesSubstring: "
                "'no disk to save to'", "true")
        write_in_workspace(m, "kept on the new disk")
        open_from_world_menu(m, "save")
        text = dialog(m, "Where shall this machine save?",
                      "disks-%s-1-choose" % medium)
        assert "Choose an empty one" in text
        press(m, "Continue")
        name = "virtio0" if medium == "cd" else "sata0"
        text = dialog(m, "Format %s?" % name, "disks-%s-2-confirm" % medium)
        assert "lost for good" in text and "315 MB" in text
        press(m, "Format and save")
        assert "the store on %sp2" % name in saved(m)
        m.screenshot("disks-%s-3-saved" % medium)
    with desktop(args, "empty-%s-after" % medium) as m:
        assert (m.ask("(World windowNamed: 'Workspace') codePane string") ==
                "'kept on the new disk'")
        assert m.ask("World noteTexts") == "#()"
        m.screenshot("disks-%s-4-back" % medium)
    verdict = subprocess.run(["sgdisk", "-v", disk], stdout=subprocess.PIPE)
    assert b"No problems found" in verdict.stdout
    assert subprocess.run(["minfo", "-i", disk + "@@1M", "::"],
                          stdout=subprocess.DEVNULL).returncode == 0


def test_declining_leaves_the_disk_as_it_was(tmp_path):
    disk = blank(tmp_path / "disk.img", 128)
    before = digest(disk)
    with desktop(pvh(built("aerostat.image")) + virtio(disk),
                 "decline") as m:
        open_from_world_menu(m, "save")
        dialog(m, "Where shall this machine save?")
        press(m, "Cancel")
        no_dialog(m)
        open_from_world_menu(m, "save")
        dialog(m, "Where shall this machine save?")
        m.key("ret")
        dialog(m, "Format virtio0?")
        m.key("ret")  # the default is to cancel
        no_dialog(m)
        assert m.ask("ImageStore place") == "nil"
        assert m.ask("WorldMenu lastSaved") == "nil"
        assert m.ask("3 + 4") == "7"
    assert digest(disk) == before


def test_a_disk_with_partitions_is_never_offered(tmp_path):
    disk = blank(tmp_path / "disk.img", 128)
    subprocess.run(["sgdisk", "-o", "-n1:2048:+8M", "-n2:0:+8M", disk],
                   check=True, stdout=subprocess.DEVNULL)
    volume = blank(tmp_path / "volume.img", 128)
    subprocess.run(["mformat", "-i", volume, "-F", "-v", "MINE", "::"],
                   check=True)
    before = digest(disk), digest(volume)
    with desktop(pvh(built("aerostat.image")) + virtio(disk) + sata(volume),
                 "foreign") as m:
        open_from_world_menu(m, "save")
        text = dialog(m, "Nowhere to save", "disks-5-nowhere")
        assert "virtio0, 134 MB (virtio disk): GPT, 2 partitions" in text
        assert "a FAT32 volume" in text
        press(m, "OK")
        no_dialog(m)
        why = m.ask("ImageStore format: ImageStore disks first")
        assert why == "'the disk is not empty'"
    assert (digest(disk), digest(volume)) == before


# -- how far a save is --

def accent_pixels(width, height, pixels):
    """Blue ones in the corner where notes are: what a save has filled."""
    count = 0
    for y in range(60):
        row = pixels[(y * width + width - 600) * 3:(y + 1) * width * 3]
        count += sum(row[i] < 80 and row[i + 2] > 180
                     for i in range(0, len(row), 3))
    return count


def test_the_bar_moves_while_a_save_writes(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    slow = ["-drive", "file=%s,format=raw,if=none,id=d,"
            "throttling.bps-write=12000000" % disk,
            "-device", "virtio-blk-pci,drive=d"]
    with desktop(pvh(built("aerostat.image")) + slow, "bar") as m:
        m.ask("Smalltalk at: #Ballast put: (ByteArray new: 40000000). 1")
        open_from_world_menu(m, "save")
        seen = []
        start = len(m.log)
        deadline = time.time() + 60
        while b"saved /" not in m.log[start:] and time.time() < deadline:
            m._drain(0.1)
            seen.append(accent_pixels(*m.picture()))
            if len(seen) == 12:
                m.screenshot("disks-bar")
        rising = sorted(set(seen))
        assert len(rising) >= 5, seen
        peak = seen.index(max(seen))
        assert seen[:peak] == sorted(seen[:peak]), seen
        assert "the store on virtio0p2" in saved(m)


# -- a full store --

def small_disk(tmp_path, megabytes):
    """A disk like `make run`'s whose store has little room."""
    disk = str(tmp_path / "small.img")
    subprocess.run(["sh", "iso/mkdisk.sh", disk, "40", str(megabytes),
                    "7A05E7A0-4D70-4E4F-B00B-5A11BA110001", "build/mkstore"],
                   cwd=TOP, check=True)
    return disk


def test_a_full_store_is_told_and_loses_nothing(tmp_path):
    disk = small_disk(tmp_path, 120)  # the store has 120 MB
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "full-before") as m:
        w = write_in_workspace(m, "first")
        open_from_world_menu(m, "save")
        saved(m)
        m.ask("Smalltalk at: #Ballast put: (ByteArray new: 130000000). 1")
        m.type(" second")
        open_from_world_menu(m, "save")
        text = dialog(m, "Not saved", "disks-6-full")
        assert "the store is full" in text
        assert "What was saved before is untouched" in text
        press(m, "OK")
        no_dialog(m)
        # Nor under another name, which it does not keep then.
        open_from_world_menu(m, "save as...")
        dialog(m, "Save image as")
        m.type("other\n")
        assert "the store is full" in dialog(m, "Not saved")
        press(m, "OK")
        no_dialog(m)
        assert m.ask("TaskBar imageName") == "'aerostat'"
        assert m.ask("ImageStore imageNames") == "#('aerostat')"
        # The machine goes on, and knows that it is not saved.
        assert m.ask("SaveRecord default isUnsaved") == "true"
        bring_to_front(m, "Workspace")
        click_text(m, w)
        m.type("!")
        m.until(w + " codePane string includes: $!", "true")
    with desktop(args, "full-after") as m:
        assert (m.ask("(World windowNamed: 'Workspace') codePane string") ==
                "'first'")
        assert m.ask("SaveRecord default isUnsaved") == "false"


# -- quitting --

def test_quit_asks_only_when_something_is_unsaved(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "quit-nothing") as m:
        # Looking around changes nothing.
        open_from_world_menu(m, "open...", "System Browser")
        window(m, "System Browser")
        open_from_world_menu(m, "quit")
        assert m.wait() == PASS_STATUS
    with desktop(args, "quit-asks") as m:
        w = write_in_workspace(m, "6 * 7")
        m.key("alt", "p")
        m.until("%s codePane string" % w, "'6 * 7 42'")
        open_from_world_menu(m, "quit")
        text = dialog(m, "Quit?", "disks-7-quit")
        assert "1 expression evaluated" in text
        assert 'text in "Workspace"' in text
        press(m, "Cancel")
        no_dialog(m)
        assert m.ask("3 + 4") == "7"
        open_from_world_menu(m, "quit")
        dialog(m, "Quit?")
        press(m, "Save and quit")
        assert m.wait() == PASS_STATUS
    with desktop(args, "quit-saved") as m:
        assert m.ask("%s codePane string" % w) == "'6 * 7 42'"
        assert m.ask("World noteTexts") == "#()"
        m.ask("Object compile: 'quitTest ^ 1'. 1")
        open_from_world_menu(m, "quit")
        assert "1 change of code" in dialog(m, "Quit?")
        press(m, "Quit without saving")
        assert m.wait() == PASS_STATUS
    with desktop(args, "quit-unsaved") as m:
        # Given up knowingly: nobody is asked about it again.
        asks_nothing(m)
        assert m.ask("Object includesSelector: #quitTest") == "false"


def test_a_machine_whose_clock_is_behind_goes_on(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "clock-ahead") as m:
        w = write_in_workspace(m, "years ago")
        open_from_world_menu(m, "save")
        saved(m)
    with desktop(args + ["-rtc", "base=2020-01-01"], "clock-behind") as m:
        assert m.ask("Date today year") == "2020"
        assert m.ask("%s codePane string" % w) == "'years ago'"
        m.until("World damage isEmpty", "true")
        write_in_workspace(m, "drawn")
        m.until("World damage isEmpty", "true")


def test_of_two_stores_the_log_says_which_is_in_use(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    twin = disk_copy("blank-disk.img", tmp_path / "twin.img")
    with desktop(pvh(built("aerostat.image")) + virtio(disk) + [
            "-drive", "if=none,id=t,format=raw,file=%s" % twin,
            "-device", "nvme,serial=t,drive=t"], "two-stores") as m:
        assert "store: on virtio0p2" in m.text()
        assert "store: another on nvme0n1p2, not in use" in m.text()
        assert "another on virtio0" not in m.text()


# -- several images --

def test_save_as_makes_another_image_and_one_can_be_chosen(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "save-as") as m:
        w = write_in_workspace(m, "one")
        open_from_world_menu(m, "save")
        saved(m)
        click_text(m, w)
        m.key("end")
        m.type(" two")
        open_from_world_menu(m, "save as...")
        dialog(m, "Save image as", "disks-8-save-as")
        m.type("a/b\n")
        m.until("World dialog contentsText", "'A name has no slashes.'")
        m.key("ctrl", "a")
        m.type("second\n")
        m.until("ImageStore imageNames", "#('second' 'aerostat')")
        m.until("TaskBar imageName", "'second'")
        assert saved(m).endswith('as "second"')
        m.screenshot("disks-9-saved-as")
        # Over one that is there only when the user says so.
        open_from_world_menu(m, "save as...")
        dialog(m, "Save image as")
        m.type("aerostat\n")
        assert 'called "aerostat" already' in dialog(m, "Please confirm")
        press(m, "Cancel")
        no_dialog(m)
    with desktop(args, "save-as-last") as m:
        assert m.ask("TaskBar imageName") == "'second'"
        assert m.ask("%s codePane string" % w) == "'one two'"
    args[args.index("-append") + 1] += " choose"
    with Machine(args, name="disks-choose") as m:
        m.expect("Which shall start")
        assert "1  second" in m.text() and "2  aerostat" in m.text()
        m.screenshot("disks-10-choose")
        m.key("2")
        m.prompt()
        assert m.ask("TaskBar imageName") == "'aerostat'"
        assert m.ask("%s codePane string" % w) == "'one'"


def test_an_image_is_deleted_after_asking(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "delete") as m:
        open_from_world_menu(m, "save")
        saved(m)
        open_from_world_menu(m, "delete image...")
        assert "but the one that runs" in dialog(m, "Nothing to delete")
        press(m, "OK")
        open_from_world_menu(m, "save as...")
        dialog(m, "Save image as")
        m.type("second\n")
        m.until("ImageStore imageNames", "#('second' 'aerostat')")
        open_from_world_menu(m, "delete image...")
        dialog(m, "Delete which image?", "disks-13-delete")
        press(m, "OK")
        dialog(m, 'Delete "aerostat"?', "disks-14-delete-confirm")
        m.key("ret")  # the default is to cancel
        no_dialog(m)
        assert m.ask("ImageStore imageNames") == "#('second' 'aerostat')"
        open_from_world_menu(m, "delete image...")
        dialog(m, "Delete which image?")
        press(m, "OK")
        dialog(m, 'Delete "aerostat"?')
        press(m, "Delete it")
        m.until("ImageStore imageNames", "#('second')")
    with desktop(args, "deleted") as m:
        assert m.ask("ImageStore imageNames") == "#('second')"
        assert m.ask("TaskBar imageName") == "'second'"


# -- changes that a crash left behind --

def test_accepted_changes_survive_a_crash_and_are_offered(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "crash-before") as m:
        m.ask("Object subclass: #Kept instanceVariableNames: '' "
              "classVariableNames: '' package: 'Crash'")
        m.ask("Kept compile: 'saved ^ 1'. 1")
        open_from_world_menu(m, "save")
        saved(m)
        m.ask("(Browser open) selectClass: Kept. 1")
        b = window(m, "System Browser")
        click_text(m, b)
        m.key("ctrl", "a")
        m.type("lost\n^ 'here!'")
        m.key("alt", "s")
        # A method is there before its change is on the disk.
        m.until(b + " hasEdits", "false")
    with desktop(args, "crash-after") as m:
        text = dialog(m, "Recover changes?", "disks-11-recover")
        assert text.startswith("'One change was made after the last save")
        assert m.ask("Kept includesSelector: #lost") == "false"
        press(m, "Not now")
        no_dialog(m)
        open_from_world_menu(m, "changes...", "recover lost changes...")
        dialog(m, "Recover changes?")
        press(m, "File them in")
        m.until("Kept includesSelector: #lost", "true")
        m.screenshot("disks-12-recovered")
        assert m.ask("Kept new lost") == "'here!'"
        assert m.ask("SaveRecord default isUnsaved") == "true"
        open_from_world_menu(m, "save")
        saved(m)
    with desktop(args, "crash-settled") as m:
        asks_nothing(m)
        assert m.ask("Kept new lost") == "'here!'"


def test_a_machine_that_never_saved_offers_its_changes_too(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image")) + virtio(disk)
    with desktop(args, "unsaved-before") as m:
        m.ask("Object compile: 'neverSaved ^ 3'. 1")
    with desktop(args, "unsaved-after") as m:
        dialog(m, "Recover changes?")
        press(m, "File them in")
        m.until("Object new respondsTo: #neverSaved", "true")


# -- every kind of disk: boot from a stick's image on it, save, come back --

SAVE = "Smalltalk snapshot: true andQuit: false"
KINDS = {  # how it is attached; QEMU's machine; what the log calls it
    "nvme": (["-device", "nvme,serial=n,drive=d"], "q35", "nvme0n1"),
    "virtio-scsi": (["-device", "virtio-scsi-pci", "-device",
                     "scsi-hd,drive=d"], "q35", "scsi0"),
    "virtio-blk": (["-device", "virtio-blk-pci,drive=d"], "q35", "virtio0"),
    "sata": (["-device", "ide-hd,drive=d"], "q35", "sata0"),
    "ide": (["-device", "ide-hd,drive=d"], "pc", "ide0"),
}


SCSI_TRIES = 4  # of drivers/scsi.c, before it reports an error


def attached(kind, path, *more):
    return ["-drive", "if=none,id=d,format=raw,file=%s%s" % (
        path, "".join("," + o for o in more))] + KINDS[kind][0]


def machine_on(kind, args, name):
    m = Machine(args, machine=KINDS[kind][1],
                name="disks-%s-%s" % (kind, name))
    m.prompt(timeout=90)
    return m


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_boots_saves_and_comes_back(kind, tmp_path):
    disk = disk_copy("aerostat-stick.img", tmp_path / "disk.img")
    args = attached(kind, disk)
    with machine_on(kind, args, "before") as m:
        assert "store: on %sp" % KINDS[kind][2] in m.text()
        m.ask("Smalltalk at: #Kept put: 6 * 7")
        assert m.ask(SAVE) == "false"
        m.ask("Smalltalk at: #Kept put: 0")
    with machine_on(kind, args, "after") as m:
        m.until("Smalltalk at: #Kept", "42")


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_failing_write_is_told_and_the_next_one_works(kind, tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    rules = tmp_path / "rules"
    rules.write_text('[inject-error]\nevent = "write_aio"\nerrno = "5"\n'
                     'once = "on"\n' * SCSI_TRIES)
    args = pvh(built("aerostat.image"), "repl") + attached(
        kind, "blkdebug:%s:%s" % (rules, disk), "werror=report")
    with machine_on(kind, args, "failing") as m:
        assert "could not be written" in m.ask(SAVE)
        m.until(SAVE, "false")


# Not SATA: QEMU 7.2 dies when AHCI gives up a command that is under way.
@pytest.mark.parametrize("kind", ["nvme", "virtio-blk", "ide"])
def test_a_disk_that_does_not_answer_is_an_error_and_no_hang(kind, tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    args = pvh(built("aerostat.image"), "repl") + attached(kind, disk)
    with machine_on(kind, args, "silent") as m:
        slow(m, 1)
        assert "could not be written" in m.ask(SAVE)
        slow(m, 0)
        assert m.ask(SAVE) == "false"


def slow(m, bytes_per_second):
    """QEMU's limit for writes to the disk; 0: none."""
    m.qmp("block_set_io_throttle", device="d", bps=0, bps_rd=0,
          bps_wr=bytes_per_second, iops=0, iops_rd=0, iops_wr=0)


# -- NVMe: lines instead of messages, formats, a controller that dies --

def test_nvme_with_lines_small_commands_and_big_sectors(tmp_path):
    disk, small = blank(tmp_path / "disk.img", 256), blank(tmp_path / "s", 16)
    args = pvh(built("aerostat.image"), "repl")
    at = args.index("-append") + 1
    args[at] = "nomsi " + args[at]
    args += [
        "-drive", "if=none,id=d,format=raw,file=" + disk,
        "-drive", "if=none,id=s,format=raw,file=" + small,
        "-device", "nvme,id=c,serial=n,mdts=1",
        "-device", "nvme-ns,bus=c,nsid=3,drive=s",
        "-device", "nvme-ns,bus=c,nsid=7,drive=d,"
        "logical_block_size=4096,physical_block_size=4096"]
    with Machine(args, name="disks-nvme-lines-before") as m:
        m.prompt()
        assert "nvme0n3: QEMU NVMe Ctrl, 16 MB, sectors of 512" in m.text()
        assert "nvme0n7: QEMU NVMe Ctrl, 256 MB, sectors of 4096" in m.text()
        said = m.ask("ImageStore format: (ImageStore disks at: 2)")
        assert said.endswith("\nnil")
        m.ask("Smalltalk at: #Kept put: 6 * 7")
        assert m.ask(SAVE) == "false"
    with Machine(args, name="disks-nvme-lines-after") as m:
        m.prompt()
        assert "store: on nvme0n7p" in m.text()
        m.until("Smalltalk at: #Kept", "42")


class Registers:
    """The machine's memory as devices see it, through QEMU's qtest."""

    def __init__(self, m, path):
        self.base = next(
            region["address"] for bus in m.qmp("query-pci")
            for device in bus["devices"]
            if device["class_info"]["class"] == 0x0108
            for region in device["regions"] if region["bar"] == 0)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def write(self, offset, value):
        self.socket.sendall(b"writel 0x%x 0x%x\n" % (
            self.base + offset, value))
        while not self.file.readline().startswith(b"OK"):
            pass


def test_an_nvme_controller_that_dies_is_started_again(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    path = str(tmp_path / "qtest")
    args = pvh(built("aerostat.image"), "repl") + attached("nvme", disk) + [
        "-qtest", "unix:%s,server=on,wait=off" % path,
        "-qtest-log", "/dev/null"]
    with machine_on("nvme", args, "dies") as m:
        registers = Registers(m, path)
        registers.write(0x14, 0)  # CC: off
        registers.write(0x24, 0)  # AQA: queues of one entry
        registers.write(0x14, 0x460001)  # on: the controller cannot
        assert "could not be written" in m.ask(SAVE)
        assert "the controller has failed (status 2)" in m.text()
        assert m.ask(SAVE) == "false"


# -- virtio-scsi: targets and units --

def test_scsi_disks_are_found_on_any_target_and_unit(tmp_path):
    args = pvh(built("aerostat.image"), "repl") + [
        "-device", "virtio-scsi-pci"]
    for name, more in (("a", "scsi-id=5,lun=0"), ("b", "scsi-id=255,lun=3,"
                       "logical_block_size=4096,physical_block_size=4096")):
        disk = blank(tmp_path / name, 16)
        args += ["-drive", "if=none,format=raw,id=%s,file=%s" % (name, disk),
                 "-device", "scsi-hd,drive=%s,%s" % (name, more)]
    with Machine(args, name="disks-scsi-units") as m:
        m.prompt()
        assert "sectors of 512, target 5 unit 0" in m.text()
        assert "sectors of 4096, target 255 unit 3" in m.text()


# -- IDE: both disks of both channels, 48-bit addresses --

def ide(paths, *properties):
    return [word for n, (path, more) in enumerate(zip(paths, properties))
            for word in ("-drive", "if=none,id=i%d,format=raw,file=%s" % (
                n, path), "-device", "ide-hd,drive=i%d,%s" % (n, more))]


def test_ide_finds_four_disks_and_reaches_their_ends(tmp_path):
    disks = [blank(tmp_path / str(n), size)
             for n, size in enumerate((16, 17, 18, 200 * 1024))]
    args = pvh(built("aerostat.image"), "repl") + ide(
        disks, "bus=ide.0,unit=0", "bus=ide.0,unit=1", "bus=ide.1,unit=0",
        "bus=ide.1,unit=1")
    with Machine(args, machine="pc", name="disks-ide-four") as m:
        m.prompt()
        for n, size in enumerate((16, 17, 18, 204800)):
            assert "ide%d: QEMU HARDDISK, %d MB\r" % (n, size) in m.text()
        said = m.ask("ImageStore format: (ImageStore disks at: 4)")
        assert said.endswith("\nnil")
        assert m.ask(SAVE) == "false"
    verdict = subprocess.run(["sgdisk", "-v", disks[3]],
                             stdout=subprocess.PIPE)
    assert b"No problems found" in verdict.stdout  # the copy at the end too
    assert not any(open(disk, "rb").read().strip(b"\0")
                   for disk in disks[:3])
