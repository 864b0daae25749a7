"""*Install to disk...*: from CD and stick to disks inside, beside other
systems and not over them, cut off in the middle; then the disk starts alone."""
import hashlib
import os
import re
import shutil
import struct
import subprocess

import pytest

import desktop as world
from conftest import built, hosted
from desktop import (no_dialog, open_from_world_menu, press, started,
                     write_in_workspace)
from machine import FIRMWARE, OVMF, Machine, blank

MB = 1 << 20

# How the disk inside is attached, and what the machine calls it.
DISKS = {
    "virtio0": ["-device", "virtio-blk-pci,drive=d"],
    "sata0": ["-device", "ide-hd,drive=d,bus=ide.1"],
    "nvme0n1": ["-device", "nvme,drive=d,serial=1"],
}
BIG_SECTORS = ["-device", "nvme,drive=d,serial=1,logical_block_size=4096,"
               "physical_block_size=4096"]


def inside(name, path):
    return ["-drive", "if=none,id=d,format=raw,file=" + path] + DISKS[name]


def medium(kind):
    """A CD, or a stick that forgets what is written to it."""
    if kind == "cd":
        return ["-boot", "d", "-cdrom", built("aerostat.iso")]
    return ["-drive", "if=none,id=u,format=raw,snapshot=on,file=" +
            built("aerostat-stick.img"), "-device", "qemu-xhci",
            "-device", "usb-storage,drive=u,bootindex=0"]


def digest(path, *parts):
    """Of a file, or of (first, end) parts of it."""
    sum_ = hashlib.sha256()
    with open(path, "rb") as f:
        for first, end in parts or [(0, os.path.getsize(path))]:
            f.seek(first)
            for at in range(first, end, MB):
                sum_.update(f.read(min(MB, end - at)))
    return sum_.hexdigest()


def sgdisk(path, *words):
    return subprocess.run(["sgdisk", *words, path], stdout=subprocess.PIPE,
                          check=True).stdout.decode()


def dialog(m, *words):
    """What it says, however its lines are broken."""
    return " ".join(world.dialog(m, *words).split())


def desktop(args, name):
    return started(Machine(args, name="install-" + name), timeout=90)


def text_in_workspace(m):
    return m.ask("(World windowNamed: 'Workspace') codePane string")


def say_yes_to_all(m, disk, pictures=None, choice=0):
    """Up to the last question, which is answered as well."""
    shot = (lambda n: "%s-%s" % (pictures, n)) if pictures else \
        (lambda n: None)
    open_from_world_menu(m, "install to disk...")
    offered = dialog(m, "Install to which disk?", shot("1-which"))
    for _ in range(choice):
        m.key("down")
    press(m, "Continue")
    first = dialog(m, "Install to %s?" % disk, shot("2-confirm"))
    press(m, "Continue")
    second = dialog(m, "Write to %s now?" % disk, shot("3-again"))
    press(m, "Install")
    return offered, first, second


def installed(m, disk, picture=None):
    text = dialog(m, "Installed on " + disk, picture)
    press(m, "OK")
    no_dialog(m)
    return text


@pytest.mark.parametrize("kind,firmware,disk", [
    ("cd", "seabios", "virtio0"), ("stick", "ovmf", "nvme0n1"),
    ("stick", "ovmf32", "sata0"), ("cd", "ovmf", "sata0")])
def test_it_starts_from_the_disk_with_the_medium_taken_out(
        kind, firmware, disk, tmp_path):
    path = blank(tmp_path / "disk.img", 400)
    name = "%s-%s-%s" % (kind, firmware, disk)
    alone = FIRMWARE[firmware] + inside(disk, path)
    with desktop(alone + medium(kind), name + "-before") as m:
        write_in_workspace(m, "from the stick")
        offered, first, second = say_yes_to_all(m, disk, "install-" + name)
        assert "Not offered" not in offered or kind == "stick"
        assert "All of %s, 419 MB" % disk in first
        assert "lost for good" in second
        said = installed(m, disk, "install-%s-4-done" % name)
        assert "comes up from " + disk in said
        # Saves go where they went before; a CD had no place for them.
        place = m.ask("ImageStore place")
        assert ("usb0p4" if kind == "stick" else disk) in place
    assert "No problems found" in sgdisk(path, "-v")
    with desktop(alone, name + "-after") as m:
        assert text_in_workspace(m) == "'from the stick'"
        assert "store: on %sp4" % disk in m.text()
        assert "files: FAT32 on %sp3" % disk in m.text()
        m.screenshot("install-%s-5-from-the-disk" % name)
        m.ask("Smalltalk at: #Kept put: 6 * 7")
        assert m.ask("Smalltalk snapshot: true andQuit: false") == "false"
    with desktop(alone, name + "-again") as m:
        m.until("Smalltalk at: #Kept", "42")
    fresh = ["-fw_cfg", "name=opt/aerostat/args,string=fresh"]
    with desktop(alone + fresh, name + "-fresh") as m:
        assert m.ask("Smalltalk includesKey: #Kept") == "false"


def ovmf_that_remembers(tmp_path):
    """UEFI whose variables are kept in a file, as a machine's are."""
    code, variables = (OVMF % name for name in ("_CODE_4M.fd", "_VARS_4M.fd"))
    shutil.copy(variables, tmp_path / "vars")
    return ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
            "-drive", "if=pflash,format=raw,unit=1,file=%s" %
            (tmp_path / "vars")]


TITLES = "FirmwareMenu new titles"


def test_the_firmware_gets_a_boot_entry(tmp_path):
    """Even where nobody looks for a file of ours: a second disk, beside
    another system, and the entry is all that leads there."""
    path = foreign(tmp_path / "disk.img", 600, *ROOM)
    firmware = ovmf_that_remembers(tmp_path)
    args = firmware + [
        "-drive", "if=none,id=e,format=raw,file=" +
        blank(tmp_path / "first.img", 64), "-device",
        "ide-hd,drive=e,bus=ide.0"] + inside("sata0", path)
    with desktop(args + medium("cd"), "entry-before") as m:
        before = m.ask(TITLES)
        assert "Aerostat" not in before
        open_from_world_menu(m, "install to disk...")
        disk = re.search(r"(sata\d), 629 MB", dialog(
            m, "Install to which disk?")).group(1)
        m.key("esc")
        no_dialog(m)
        say_yes_to_all(m, disk)
        said = installed(m, disk, "install-entry-done")
        assert "choose Aerostat in the firmware''s boot menu." in said
        after = m.ask(TITLES)
        assert after == before[:-1] + " 'Aerostat')"
        # Not twice: the entry is 6 bytes, its title, its path.
        m.ask("Smalltalk at: #Menu put: FirmwareMenu new")
        m.ask("Smalltalk at: #Entry put: ((Smalltalk at: #Menu) entry: "
              "(Smalltalk at: #Menu) order last)")
        assert m.ask("(Smalltalk at: #Menu) addTitle: 'x' path: ((Smalltalk "
                     "at: #Entry) allButFirst: 24) first: true") == "#present"
        m.ask("(Smalltalk at: #Menu) order: ((Smalltalk at: #Menu) order "
              "last: 1)")
    with desktop(args, "entry-after") as m:
        assert m.ask("FirmwareMenu new startedBy") == "'Aerostat'"
        assert "store: on " + disk in m.text()


def test_a_disk_with_sectors_of_4096_bytes_starts_by_uefi(tmp_path):
    path = blank(tmp_path / "disk.img", 900)
    alone = FIRMWARE["ovmf"] + [
        "-drive", "if=none,id=d,format=raw,file=" + path] + BIG_SECTORS
    with desktop(alone + medium("cd"), "4k-before") as m:
        write_in_workspace(m, "big sectors")
        say_yes_to_all(m, "nvme0n1")
        assert "A BIOS cannot start from a disk" in installed(m, "nvme0n1")
    with desktop(alone, "4k-after") as m:
        assert text_in_workspace(m) == "'big sectors'"
        assert "store: on nvme0n1p" in m.text()


def test_other_tools_read_what_it_writes(image, tmp_path):
    """The hosted VM installs to a file; the image itself is not saved."""
    path = blank(tmp_path / "disk.img", 400)
    root = os.path.join(os.path.dirname(built("kernel.elf")), "iso/root")
    run = hosted("--disk", path, image, "eval", """
        | new | new := (Installation proposalsOn: ImageStore disks first) first.
        new files: (Installation filePaths collect: [:each |
            each -> ('%s' , each) asFileReference binaryReadStream
                upToEnd]).
        new saver: [:first :count | #done]. new run: [:done :text | ]
        """ % root)
    assert run.stdout.strip() == "#done", run.stderr
    assert "No problems found" in sgdisk(path, "-v")
    for volume, label in (("@@2M", "AEROBOOT"), ("@@40M", "AEROSTAT")):
        info = subprocess.run(["minfo", "-i", path + volume, "::"],
                              stdout=subprocess.PIPE, check=True)
        assert label.encode() in info.stdout
    subprocess.run(["mcopy", "-s", "-i", path + "@@2M", "::",
                    str(tmp_path / "copy")], check=True)
    for name in ("boot/bios.img", "boot/kernel.elf", "boot/grub/grub.cfg",
                 "EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTIA32.EFI"):
        assert digest(os.path.join(root, name)) == digest(
            tmp_path / "copy" / name)


def foreign(path, megabytes, *words):
    """A disk of somebody else's: partitions with an ext4 and an NTFS."""
    blank(path, megabytes)
    sgdisk(path, "-o", *words)
    with open(path, "r+b") as f:
        f.write(b"\xeb\x63\x90 another system starts here")
        f.seek(2 * MB + 3)
        f.write(b"NTFS    ")
        f.seek(82 * MB + 1080)
        f.write(b"\x53\xef")
    return str(path)


FULL = ["-n1:4096:+80M", "-t1:0700", "-c1:Windows", "-n2:167936:0",
        "-t2:8300", "-c2:Debian"]
ROOM = ["-n1:4096:+80M", "-t1:0700", "-c1:Windows", "-n2:167936:+40M",
        "-t2:8300", "-c2:Debian"]


def test_disks_with_other_systems_are_left_alone(tmp_path):
    path = foreign(tmp_path / "disk.img", 400, *FULL)
    before = digest(path)
    with desktop(medium("stick") + inside("sata0", path), "full") as m:
        open_from_world_menu(m, "install to disk...")
        text = dialog(m, "Nowhere to install", "install-full")
        assert "Windows (NTFS, 84 MB), Debian (ext2, ext3 or ext4" in text
        assert "this machine runs from it" in text
        press(m, "OK")
        no_dialog(m)
        # Not by a slip of a programmer, either.
        assert "no free space" in m.ask(
            "Installation reasonAgainst: (ImageStore disks detect: "
            "[:e | e name = 'sata0'])")
    assert digest(path) == before


def test_free_space_beside_other_systems_is_used(tmp_path):
    path = foreign(tmp_path / "disk.img", 600, *ROOM)
    # Boot code and the other partitions; the table gets entries.
    others = (path, (0, 440), (2 * MB, 122 * MB))
    before = digest(*others)
    args = FIRMWARE["ovmf"] + inside("sata0", path)
    with desktop(args + medium("stick"), "beside-before") as m:
        write_in_workspace(m, "beside others")
        offered, first, second = say_yes_to_all(
            m, "sata0", "install-beside")
        assert "499 MB of free space" in m.text() or "free space" in first
        assert "the others stay as they are" in first
        assert "Windows (NTFS" in second
        said = installed(m, "sata0", "install-beside-4-done")
        assert "Another system starts from this disk, and still does" in said
    assert digest(*others) == before
    assert "No problems found" in sgdisk(path, "-v")
    listed = sgdisk(path, "-p")
    assert "Windows" in listed and "Debian" in listed
    # The firmware finds it by itself where it is the only one.
    with desktop(args, "beside-after") as m:
        assert text_in_workspace(m) == "'beside others'"


# Boot code of somebody else's: says so on the serial line, as BIOSes start
# it (mov dx,3f8; lodsb, out dx,al until a zero; then stays).
OTHER = (b"\xfa\x31\xc0\x8e\xd8\xfc\xbe\x14\x7c\xba\xf8\x03"
         b"\xac\x84\xc0\x74\xfe\xee\xeb\xf8" b"the other system\n\0")


def mbr(*rows):
    """A sector: rows of boot flag, type, first sector, sectors."""
    table = b"".join(struct.pack("<B3xB3xII", *row) for row in rows)
    return bytes(440) + b"disk\0\0" + table.ljust(64, b"\0") + b"\x55\xaa"


def rows_of_mbr(path):
    with open(path, "rb") as f:
        sector = f.read(512)
    rows = [struct.unpack("<B3xB3xII", sector[at:at + 16])
            for at in range(446, 510, 16)]
    return [row for row in rows if row[1]]


def foreign_mbr(path, megabytes, code):
    """A disk of somebody else's with an MBR: an active NTFS, and an ext4 in
    an extended partition, full of bytes; free space between and behind."""
    blank(path, megabytes)
    extended = (megabytes - 60) * 2048
    with open(path, "r+b") as f:
        f.write(mbr((0x80, 7, 2048, 80 * 2048), (0, 5, extended, 40 * 2048)))
        f.seek(0)
        f.write(code)
        f.seek(512)
        f.write(b"the rest of it" * 1000)
        f.seek(extended * 512)
        f.write(mbr((0, 0x83, 2048, 20 * 2048)))
        for at in (1, megabytes - 59):
            f.seek(at * MB)
            f.write(bytes(range(256)) * 4096)
        f.seek(MB + 3)
        f.write(b"NTFS    ")
    return str(path)


def of_others(path, megabytes):
    """All but boot code, table and what was free."""
    return digest(path, (440, 446 + 32), (512, 81 * MB),
                  ((megabytes - 60) * MB, megabytes * MB))


def start_the_other(m):
    """By its key in GRUB's menu, which is on the screen only."""
    for _ in range(30):
        m.key("o")
        try:
            return m.expect("the other system\n", timeout=1)
        except AssertionError:
            m.screenshot("install-menu")
    raise AssertionError("no menu, or no such entry:\n" + m.text())


@pytest.mark.parametrize("firmware,disk", [
    ("seabios", "sata0"), ("ovmf", "virtio0")])
def test_beside_others_on_a_disk_with_an_mbr(firmware, disk, tmp_path):
    """With a menu: both start."""
    path = foreign_mbr(tmp_path / "disk.img", 600, OTHER)
    before, table = of_others(path, 600), rows_of_mbr(path)
    alone = FIRMWARE[firmware] + inside(disk, path)
    name = "mbr-%s" % firmware
    with desktop(alone + medium("cd"), name + "-before") as m:
        write_in_workspace(m, "beside an MBR")
        offered, first, second = say_yes_to_all(m, disk, "install-" + name, 1)
        assert "Windows (NTFS, 84 MB), Linux (21 MB)" in offered
        assert "the others stay as they are" in first
        assert "a menu then starts Aerostat" in first
        assert "its boot code changes" in second
        said = installed(m, disk, "install-%s-4-done" % name)
        assert "a menu offers Aerostat" in said
    assert of_others(path, 600) == before
    assert rows_of_mbr(path)[:2] == table
    assert [row[1] for row in rows_of_mbr(path)[2:]] == [0xef, 0xae]
    with desktop(alone, name + "-after") as m:
        assert text_in_workspace(m) == "'beside an MBR'"
        assert "store: on " + disk in m.text()
        m.ask("Smalltalk at: #Kept put: 6 * 7")
        assert m.ask("Smalltalk snapshot: true andQuit: false") == "false"
    with desktop(alone, name + "-again") as m:
        m.until("Smalltalk at: #Kept", "42")
    assert of_others(path, 600) == before
    with Machine(inside(disk, path), name=name + "-other") as m:
        start_the_other(m)
        assert "Aerostat" not in m.text()


def test_beside_others_on_an_mbr_that_stays_theirs(tmp_path):
    path = foreign_mbr(tmp_path / "disk.img", 600, OTHER)
    code = digest(path, (0, 446 + 32))
    before = of_others(path, 600)
    with desktop(medium("cd") + inside("nvme0n1", path), "mbr-left") as m:
        say_yes_to_all(m, "nvme0n1")
        said = installed(m, "nvme0n1", "install-mbr-left")
        assert "still does" in said and "make partition 3 the active" in said
    assert of_others(path, 600) == before
    assert digest(path, (0, 446 + 32)) == code
    with Machine(inside("nvme0n1", path), name="mbr-left-other") as m:
        m.expect("the other system\n")
    # By UEFI, and by a boot sector that starts the active partition.
    with desktop(FIRMWARE["ovmf"] + inside("nvme0n1", path),
                 "mbr-left-uefi") as m:
        assert "store: on nvme0n1" in m.text()
    with open(path, "r+b") as f:
        f.seek(MB * 81)
        sector = f.read(512)
        f.seek(0)
        f.write(sector[:440])
    with desktop(inside("nvme0n1", path), "mbr-left-active") as m:
        assert "store: on nvme0n1" in m.text()


def test_an_mbr_without_room_is_left_alone(tmp_path):
    path = blank(tmp_path / "disk.img", 400)
    with open(path, "r+b") as f:
        f.write(mbr(*((0, 0x83, 2048 * i, 2048) for i in (1, 2, 3))))
    before = digest(path)
    with desktop(medium("cd") + inside("virtio0", path), "mbr-full") as m:
        open_from_world_menu(m, "install to disk...")
        text = dialog(m, "Nowhere to install", "install-mbr-full")
        assert "one entry free of four" in text
        press(m, "OK")
        no_dialog(m)
    assert digest(path) == before


@pytest.mark.parametrize("late", [False, True])
def test_cut_off_the_disk_is_as_empty_as_it_was(late, tmp_path):
    path = blank(tmp_path / "disk.img", 400)
    args = medium("stick") + inside("virtio0", path)
    with desktop(args, "cut-%d-before" % late) as m:
        m.qmp("block_set_io_throttle", device="d", bps=0, bps_rd=0,
              bps_wr=(8 if late else 1) * MB, iops=0, iops_rd=0, iops_wr=0)
        say_yes_to_all(m, "virtio0")
        with pytest.raises(AssertionError):
            m.expect("never said", timeout=2)
    with desktop(args, "cut-%d-after" % late) as m:
        say_yes_to_all(m, "virtio0")
        installed(m, "virtio0")
    assert "No problems found" in sgdisk(path, "-v")


def test_a_disk_that_fails_is_told_and_nothing_is_there(tmp_path):
    path = blank(tmp_path / "disk.img", 400)
    rules = tmp_path / "rules"
    rules.write_text('[inject-error]\nevent = "write_aio"\nerrno = "5"\n'
                     'sector = "82000"\n')  # of the volume for files
    args = medium("cd") + [
        "-drive", "if=none,id=d,format=raw,werror=report,"
        "file=blkdebug:%s:%s" % (rules, path)] + DISKS["virtio0"]
    with desktop(args, "failing") as m:
        say_yes_to_all(m, "virtio0")
        text = dialog(m, "Not installed", "install-failing")
        assert "the disk reports an error" in text
        press(m, "OK")
        no_dialog(m)
        assert m.ask("ImageStore place") == "nil"
    assert digest(path, (0, MB), (399 * MB, 400 * MB)) == digest(
        blank(tmp_path / "zeros", 400), (0, MB), (399 * MB, 400 * MB))
