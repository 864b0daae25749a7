"""Screens: sizes chosen and changed while the machine runs, the desktop
following; virtio-gpu, whose size is the host's window's."""
import re
import socket
import struct
import time

import pytest

from conftest import built, disk_copy
from desktop import (Tablet, centre, open_from_world_menu, point, started,
                     type_into_workspace, window)
from machine import pvh

GPU = ["-device", "virtio-gpu-pci"]
BOCHS = ["-device", "bochs-display"]
BIG_VGA = ["-device", "VGA,vgamem_mb=64"]


def desktop(name, *args, line="", vga="none", kind=Tablet, **more):
    start = pvh(built("aerostat.image"))
    start[start.index("-append") + 1] += line
    return started(kind(start + ["-vga", vga] + list(args),
                        name="display-" + name, **more))


def size_of(path):
    """Width and height of a PNG."""
    with open(path, "rb") as f:
        return struct.unpack(">II", f.read(24)[16:])


def shows(m, width, height, name):
    """The desktop has that size, and so has what is on the glass."""
    m.until("World bounds extent", "%d@%d" % (width, height))
    m.size = width, height
    deadline = time.time() + 10
    while size_of(m.screenshot("display-" + name)) != m.size:
        assert time.time() < deadline, "the glass has another size"
        time.sleep(0.1)


def choose_size(m, text):
    open_from_world_menu(m, "preferences...", "screen size...", text)


# -- at the start --

@pytest.mark.parametrize("vga", ["std", "bochs", "gpu"])
@pytest.mark.parametrize("width,height", [(800, 600), (1024, 768),
                                          (1920, 1080), (3840, 2160)])
def test_the_size_that_the_kernel_line_names(vga, width, height):
    args = {"std": BIG_VGA, "bochs": ["-device",
            "bochs-display,vgamem=67108864"], "gpu": GPU}[vga]
    name = "%s-%d" % (vga, width)
    with desktop(name, *args, line="mode=%dx%d" % (width, height),
                 memory=384) as m:
        shows(m, width, height, name)


@pytest.mark.parametrize("args", [
    ["-device", "VGA,xres=1600,yres=900"],
    ["-device", "bochs-display,xres=1600,yres=900"],
    ["-device", "virtio-gpu-pci,xres=1600,yres=900"]])
def test_the_monitors_own_size(args):
    with desktop("own-" + args[1].split(",")[0], *args) as m:
        shows(m, 1600, 900, "own-" + args[1].split(",")[0])


@pytest.mark.parametrize("args", [
    ["-device", "VGA,vgamem_mb=64,xres=5120,yres=2160"],
    ["-device", "virtio-gpu-pci,xres=5120,yres=2160"]])
def test_a_size_that_only_an_extension_can_say(args):
    """The first block has 12 bits for it."""
    name = "extension-" + args[1].split(",")[0]
    with desktop(name, *args, memory=512) as m:
        shows(m, 5120, 2160, name)


def test_a_size_that_cannot_be_is_passed_over():
    with desktop("too-large", line="mode=8000x8000", vga="std") as m:
        shows(m, 1280, 800, "too-large")
    with desktop("no-size", line="mode=large", vga="std") as m:
        assert "mode=large is no size" in m.text()
        shows(m, 1280, 800, "no-size")


def test_without_any_adapter_there_is_the_serial_line():
    with desktop("none") as m:
        assert m.ask("3 + 4") == "7"
        assert m.ask("DisplayScreen modes isEmpty") == "true"


# -- while it runs --

@pytest.mark.parametrize("vga", ["std", "bochs", "gpu", "virtio-vga"])
def test_the_size_is_chosen_from_the_menu(vga):
    args = {"std": ["-device", "VGA"], "bochs": BOCHS, "gpu": GPU,
            "virtio-vga": ["-device", "virtio-vga"]}[vga]
    with desktop("menu-" + vga, *args) as m:
        w = type_into_workspace(m)
        m.ask(w + " position: 1000@500")
        choose_size(m, "800 x 600")
        shows(m, 800, 600, "menu-%s-small" % vga)
        # What was beyond the edge can be reached.
        m.until("World workArea containsRect: %s bounds" % w, "true")
        m.click(*centre(m, w + " codePane"))
        m.type(" ok")
        m.until("%s codePane string includesSubstring: ' ok'" % w, "true")
        choose_size(m, "1920 x 1080")
        shows(m, 1920, 1080, "menu-%s-large" % vga)
        m.move_to(1919, 1079)
        m.until("World hand position", "1919@1079")


def test_a_size_beyond_the_memory_is_not_offered():
    with desktop("offer", "-device", "VGA,vgamem_mb=4") as m:
        sizes = m.ask("DisplayScreen modes")
        assert "1280@800" in sizes and "1280@1024" not in sizes
        assert m.ask("DisplayScreen setMode: 1280@1024") == "false"
        assert m.ask("DisplayScreen setMode: 1024@767") == "true"
        shows(m, 1024, 767, "offer")


@pytest.mark.parametrize("args", [["-device", "VGA"], GPU])
def test_the_size_changes_while_a_window_is_dragged(args):
    with desktop("drag-" + args[1][:3], *args) as m:
        open_from_world_menu(m, "open...", "Workspace")
        w = window(m, "Workspace")
        x, y = point(m, w + " titleBar center")
        m.move_to(x, y)
        m.button("left", True)
        m.move_to(1200, 700)
        m.ask("DisplayScreen setMode: 800@600")
        m.until("World bounds extent", "800@600")
        m.size = 800, 600
        m.move_to(700, 500)
        m.move_to(400, 300)
        m.button("left", False)
        shows(m, 800, 600, "drag-" + args[1][:3])
        m.until("(World windows occurrencesOf: %s)" % w, "1")
        m.until("World bounds containsPoint: %s titleBar center" % w, "true")
        m.click(*point(m, w + " titleBar center"))
        m.type("1+2")
        m.until(w + " codePane string", "'1+2'")


def test_a_saved_image_resumes_on_what_screen_there_is(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    saved = ["-drive", "if=none,id=d,format=raw,file=%s" % disk,
             "-device", "virtio-blk-pci,drive=d"]
    with desktop("saved", *GPU, *saved) as m:
        m.ask("Theme scalePercent: 125")
        choose_size(m, "1920 x 1080")
        shows(m, 1920, 1080, "saved")
        w = type_into_workspace(m)
        m.ask(w + " position: 1500@700")
        m.ask("ImageSaver save")
        m.until("WorldMenu lastSaved notNil", "true")
    with desktop("resumed", *saved, line="mode=1024x768", vga="std") as m:
        shows(m, 1024, 768, "resumed")
        w = window(m, "Workspace")
        m.until("World workArea containsRect: %s bounds" % w, "true")
        assert m.ask("Theme scalePercent") == "125"


# -- the UI's scale at the first start --

@pytest.mark.parametrize("args,line,scale", [
    (["-device", "VGA"], "", 100),
    (BIG_VGA, "mode=3840x2160", 200),
    (BIG_VGA, "mode=2560x1440", 150),
    # This one says that it is 65 centimetres wide.
    (["-device", "virtio-gpu-pci,xres=2560,yres=1440"], "", 100)])
def test_the_scale_suits_the_screen(args, line, scale):
    with desktop("scale-%d" % scale, *args, line=line, memory=384) as m:
        assert m.ask("Theme scalePercent") == str(scale)


# -- the host's window --

class Viewer:
    """A VNC viewer as far as it takes to give its window another size:
    RFC 6143, with the extension ExtendedDesktopSize."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        version = self.read(12)
        self.socket.sendall(version)
        self.read(self.read(1)[0])
        self.socket.sendall(b"\1")  # no password
        assert self.read(4) == bytes(4)
        self.socket.sendall(b"\1")  # others may look, too
        self.size = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.read(struct.unpack(">I", self.read(4))[0])
        self.socket.sendall(struct.pack(">BxHii", 2, 2, 0, -308))
        self.socket.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, 1, 1))

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            assert more
            data += more
        return data

    def resize(self, width, height):
        self.socket.sendall(struct.pack(
            ">BxHHBxIHHHHI", 251, width, height, 1, 0, 0, 0, width, height,
            0))


@pytest.mark.parametrize("device", ["virtio-gpu-pci", "virtio-vga"])
def test_the_desktop_follows_the_hosts_window(device, tmp_path):
    path = str(tmp_path / "vnc")
    with desktop("window-" + device, "-device", device, "-vnc",
                 "unix:" + path) as m:
        w = type_into_workspace(m)
        viewer = Viewer(path)
        for width, height in (1000, 700), (640, 480), (1601, 901):
            viewer.resize(width, height)
            shows(m, width, height, "window-%s-%d" % (device, width))
            m.until("World workArea containsRect: %s bounds" % w, "true")
        choose_size(m, "1024 x 768")  # the user's word counts, until the
        shows(m, 1024, 768, "window-chosen")
        viewer.resize(900, 650)       # window is pulled again
        shows(m, 900, 650, "window-again")


def test_resizing_all_the_time_does_no_harm(tmp_path):
    path = str(tmp_path / "vnc")
    with desktop("window-often", *GPU, "-vnc", "unix:" + path) as m:
        viewer = Viewer(path)
        free = "Smalltalk garbageCollect. 1"
        for i in range(60):
            viewer.resize(800 + 7 * i, 600 + 5 * i)
            time.sleep(0.02)
        viewer.resize(1111, 777)
        shows(m, 1111, 777, "window-often")
        assert m.ask(free) == "1"
        type_into_workspace(m)


# -- write-combining --

def hmp(m, line):
    return m.qmp("human-monitor-command", **{"command-line": line})


def page_entry(m, virtual):
    """The last level's entry, as the processor finds it. (`info tlb` leaves
    out the bit that matters here.)"""
    at = int(re.search(r"CR3=([0-9a-f]+)", hmp(m, "info registers"))[1], 16)
    for shift in 39, 30, 21, 12:
        at += (virtual >> shift & 511) * 8
        entry = int(hmp(m, "xp /1gx %#x" % at).split(":")[1], 16)
        assert entry & 1 and (shift == 12 or not entry & 0x80)
        at = entry & 0xffffffffff000
    return entry


@pytest.mark.parametrize("args", [["-device", "VGA"], BOCHS])
def test_the_frame_buffer_is_mapped_write_combining(args):
    """PAT set, and neither PCD nor PWT, which is entry 4 of the PAT:
    tests/unit/test_vmm.c knows it to be write-combining."""
    with desktop("pat-" + args[1][:3], *args) as m:
        memory = [(int(a, 16), int(b, 16)) for a, b in re.findall(
            r"^ *([0-9a-f]{16})-([0-9a-f]{16}) .*: (?:vga\.vram|"
            r"bochs-display-vram)", hmp(m, "info mtree -f"), re.M)]
        pages = [int(virtual, 16) for virtual, physical in re.findall(
            r"^(ffffc[0-9a-f]+): ([0-9a-f]+) ", hmp(m, "info tlb"), re.M)
            if any(a <= int(physical, 16) <= b for a, b in memory)]
        assert len(pages) == 1280 * 800 * 4 // 4096
        for page in pages[0], pages[-1]:
            assert page_entry(m, page) & 0x98 == 0x80


def test_the_log_on_the_screen_follows_its_size(tmp_path):
    """And the desktop is right again behind it."""
    path = str(tmp_path / "vnc")
    with desktop("log", *GPU, "-vnc", "unix:" + path) as m:
        viewer = Viewer(path)
        m.key("f12")
        viewer.resize(1500, 900)
        shows(m, 1500, 900, "log")
        m.key("f12")
        shows(m, 1500, 900, "log-gone")
        type_into_workspace(m)
