"""Disks that fail, states that are damaged, an image that is too large: the
older state with a word about it, or one clear line."""
import os
import struct
import subprocess

import pytest

from conftest import built, hosted
from desktop import dialog, press, started
from machine import BUILD, Machine, blank, pvh

BLOCK, SLOTS = 4096, 64


def state(tmp_path, number, ballast=0):
    """An image in which #Which answers that number."""
    path = tmp_path / ("state%d.image" % number)
    done = hosted(built("aerostat.image"), "eval",
                  "Smalltalk at: #Which put: %d; at: #Ballast put: "
                  "(ByteArray new: %d). 1" % (number, ballast),
                  "save", path)
    assert done.returncode == 0, done.stderr
    return str(path)


def store(tmp_path, *images, megabytes=64):
    """A disk that is a store, with these states of `aerostat` saved."""
    path = blank(tmp_path / "store.img", megabytes)
    names = [word for image in images for word in ("aerostat", image)]
    subprocess.run([os.path.join(BUILD, "mkstore"), path, "0",
                    str(megabytes << 11)] + names, check=True)
    return path


def extents(path):
    """First byte and size of the saved states, the newest first."""
    found = []
    with open(path, "rb") as f:
        for i in range(1, 1 + SLOTS):
            f.seek(i * BLOCK)
            magic, generation, first, _, size = struct.unpack(
                "<5Q", f.read(40))
            if magic:
                found.append((generation, first * BLOCK, size))
    return [extent[1:] for extent in sorted(found, reverse=True)]


def damage(path, extent):
    with open(path, "r+b") as f:
        f.seek(extent[0] + extent[1] // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 0x40]))


def plain(path):
    return ["-drive", "if=none,id=d,format=raw,file=" + path,
            "-device", "virtio-blk-pci,drive=d"]


def with_bad_sectors(path, device, *extents_):
    """Reads of the middle of these extents fail, again and again."""
    errors = ""
    for i, (first, size) in enumerate(extents_):
        at = "file.inject-error.%d." % i
        errors += ",%sevent=read_aio,%serrno=5,%ssector=%d" % (
            at, at, at, (first + size // 2) // 512)
    return ["-drive", "if=none,id=d,format=raw,file.driver=blkdebug,"
            "file.image.driver=file,file.image.filename=" + path + errors,
            "-device", device]


DEVICES = {"virtio": "virtio-blk-pci,drive=d", "sata": "ide-hd,drive=d"}


def expect_older_state(m, reason):
    started(m, timeout=60)
    assert m.ask("Smalltalk at: #Which") == "1"
    line = 'the last save of "aerostat" cannot be used (%s)' % reason
    assert "image: " + line in m.text()
    assert line[4:] in dialog(m, "Not the last save", m.name)
    press(m, "OK")


def test_a_damaged_state_gives_way_to_the_one_before(tmp_path):
    disk = store(tmp_path, state(tmp_path, 1), state(tmp_path, 2))
    with Machine(pvh(None) + plain(disk), name="undamaged") as m:
        m.prompt(timeout=60)
        assert m.ask("Smalltalk at: #Which") == "2"
        m.until("World notNil", "true")
        assert m.ask("World dialog") == "nil"
    damage(disk, extents(disk)[0])
    with Machine(pvh(None) + plain(disk), name="damaged") as m:
        expect_older_state(m, "its checksum is wrong")


@pytest.mark.parametrize("device", list(DEVICES))
def test_unreadable_sectors_give_way_to_the_state_before(device, tmp_path):
    disk = store(tmp_path, state(tmp_path, 1), state(tmp_path, 2))
    bad = with_bad_sectors(disk, DEVICES[device], extents(disk)[0])
    with Machine(pvh(None) + bad, name="unreadable-" + device) as m:
        expect_older_state(m, "its sectors cannot be read")


def test_when_no_state_can_be_read_the_machine_refuses(tmp_path):
    disk = store(tmp_path, state(tmp_path, 1), state(tmp_path, 2))
    bad = with_bad_sectors(disk, DEVICES["virtio"], *extents(disk))
    with Machine(pvh(None, stays=True) + bad, name="all-unreadable") as m:
        m.expect(r"^Aerostat: cannot run /aerostat.image: no save of "
                 r'"aerostat" can be used \(its sectors cannot be read\)',
                 timeout=60)
        m.screenshot("all-unreadable")
    # What was saved is not passed over because another image is at hand.
    delivered = built("aerostat.image")
    with Machine(pvh(delivered, stays=True) + bad, name="not-silent") as m:
        m.expect(r'^Aerostat: cannot run .*the boot menu\'s "as it was '
                 r'delivered"', timeout=60)
    fresh = pvh(delivered)
    fresh[fresh.index("-append") + 1] += "fresh"
    with Machine(fresh + bad, name="fresh") as m:
        m.prompt(timeout=60)
        assert m.ask("Smalltalk includesKey: #Which") == "false"


def test_an_image_larger_than_memory_says_how_much_it_needs(tmp_path):
    disk = store(tmp_path, state(tmp_path, 1, ballast=150000000),
                 megabytes=256)
    with Machine(pvh(None, stays=True) + plain(disk), memory=128,
                 name="large-image") as m:
        found = m.expect(r"^Aerostat: cannot run /aerostat.image: the image "
                         r"needs (\d+) MiB of memory; there are only (\d+) "
                         r"MiB", timeout=60)
        assert int(found.group(1)) > 150 > int(found.group(2))
        m.screenshot("large-image")
    with Machine(pvh(None) + plain(disk), memory=int(found.group(1)) + 40,
                 name="large-enough") as m:
        m.prompt(timeout=60)
        assert m.ask("(Smalltalk at: #Ballast) size") == "150000000"
