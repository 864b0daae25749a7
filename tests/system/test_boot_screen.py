"""Screens as boot loader and firmware set them: sizes, formats, what the
monitor says, what the kernel line names. Each test makes a CD of its own with
another menu."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import built
from desktop import Tablet, started, type_into_workspace
from machine import BUILD
from pictures import above_task_bar, at_rest, until

OVMF = "/usr/share/ovmf/OVMF.fd"
FIRMWARE = {"seabios": [], "ovmf": ["-bios", OVMF]}


def cd(tmp_path, *changes):
    """The CD with other texts in its menu: pairs of pattern and text."""
    root = tmp_path / "root"
    shutil.copytree(os.path.join(BUILD, "iso", "root"), root,
                    copy_function=os.link)
    menu = root / "boot" / "grub" / "grub.cfg"
    text = menu.read_text()
    for pattern, other in changes:
        assert re.search(pattern, text), pattern
        text = re.sub(pattern, other, text)
    menu.unlink()
    menu.write_text(text)
    iso = tmp_path / "cd.iso"
    subprocess.run(["grub-mkrescue", "--fonts=", "--locales=", "--themes=",
                    "-o", iso, root], check=True, timeout=60,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(iso)


def line(words):
    """The first entry with those words on the kernel's line."""
    return r"(?<=Aerostat\" { aerostat) }", " %s }" % words


def modes(text):
    """What GRUB tries under a BIOS and under UEFI."""
    return r"set modes=(auto|1280)\S*", "set modes=" + text


def desktop(name, iso, *args, firmware="seabios", memory=384):
    built("aerostat.iso")
    return started(Tablet(
        ["-vga", "none", *FIRMWARE[firmware], "-cdrom", iso, *args],
        memory=memory, name="boot-screen-" + name))


def extent(m):
    found = re.match(r"(\d+)@(\d+)$", m.ask("World bounds extent"))
    m.size = int(found[1]), int(found[2])
    return m.size


def picture(m, name):
    """What is on the glass above the task bar, once the first page is there
    and all rests."""
    m.until("World windows isEmpty", "false")
    shown = at_rest(m.picture)
    m.screenshot(name)
    return above_task_bar(shown)


def differs(one, two):
    """By how much the colours of two pictures differ at most."""
    assert one[:2] == two[:2]
    return max(abs(a - b) for a, b in zip(one[2], two[2]))


def test_16_and_24_bits_look_like_32(tmp_path):
    fine = None
    for bits, most in (32, 0), (24, 0), (16, 8):  # 5 bits of 8 are left
        directory = tmp_path / str(bits)
        directory.mkdir()
        iso = cd(directory, modes("1024x768x%d" % bits))
        with desktop("bits-%d" % bits, iso, "-device", "qxl-vga") as m:
            m.expect("boot loader's, 1024 x 768, %d bits" % bits)
            assert extent(m) == (1024, 768)
            name = "boot-screen-bits-%d" % bits
            fine = fine or picture(m, name)
            assert len(set(fine[2])) > 20  # something is shown
            # A caret blinks.
            until(lambda: differs(fine, picture(m, name)) <= most,
                  "%d bits look otherwise" % bits, 20)
            type_into_workspace(m)


@pytest.mark.parametrize("device,size", [
    ("VGA,xres=1600,yres=900", (1600, 900)),
    ("bochs-display,xres=1680,yres=1050", (1680, 1050))])
def test_the_video_bios_tells_the_monitors_size(device, size, tmp_path):
    iso = cd(tmp_path, line("without=bochs"))  # which could do it as well
    with desktop("monitor-" + device[:3], iso, "-device", device) as m:
        m.expect("monitor QEMU Monitor, %d x %d pixels" % size)
        m.expect("screen: VBE, %d x %d, 32 bits" % size)
        assert extent(m) == size
        assert picture(m, "boot-screen-" + device[:3])[:2] == size
        type_into_workspace(m)


@pytest.mark.parametrize("device", ["qxl-vga", "cirrus-vga"])
def test_a_mode_that_the_video_bios_sets(device, tmp_path):
    iso = cd(tmp_path, line("mode=1024x768"), modes("640x480x32,auto"))
    with desktop(device, iso, "-device", device) as m:
        assert extent(m) == (1024, 768)
        assert picture(m, "boot-screen-" + device)[:2] == (1024, 768)
        type_into_workspace(m)


def test_without_the_video_bios_there_is_the_boot_loaders(tmp_path):
    iso = cd(tmp_path, line("without=vbe,bochs"), modes("800x600x32"))
    with desktop("no-vbe", iso, "-device", "VGA,xres=1600,yres=900") as m:
        assert "screen: VBE" not in m.text()
        assert extent(m) == (800, 600)
        assert m.ask("DisplayScreen modes isEmpty") == "true"


@pytest.mark.parametrize("firmware", FIRMWARE)
def test_the_menus_mode_is_set(firmware, tmp_path):
    """Under UEFI by GRUB, under a BIOS by whoever comes first."""
    iso = cd(tmp_path, line("mode=1024x768 without=bochs"))
    with desktop("mode-" + firmware, iso, "-device", "VGA",
                 firmware=firmware) as m:
        assert extent(m) == (1024, 768)
        assert picture(m, "boot-screen-" + firmware)[:2] == (1024, 768)


@pytest.mark.parametrize("device", ["VGA", "virtio-gpu-pci", "ramfb"])
def test_screens_under_uefi(device, tmp_path):
    iso = built("aerostat.iso")
    with desktop("uefi-" + device, iso, "-device", device,
                 firmware="ovmf") as m:
        size = extent(m)
        assert size[0] >= 800
        assert picture(m, "boot-screen-uefi-" + device)[:2] == size
        type_into_workspace(m)
