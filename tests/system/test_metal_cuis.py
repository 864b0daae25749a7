"""Cuis 5.0 on the machine: its desktop worked in with keys and pointer,
saved to the store, the plug pulled, resumed. Its sources and changes, and
what it writes, are on the FAT volume of the same disk."""
import os
import subprocess

import pytest

from conftest import built, disk_copy
from cuis import (CONTENTS, MENU_OPEN, MENU_SAVE, OPEN_WORKSPACE, PRINTED,
                  TEXT, CuisDesktop)
from machine import Machine
from pictures import until

# Where iso/mkdisk.sh puts them.
VOLUME = "@@1M"
STORE = 65 << 20


class CuisMachine(CuisDesktop, Machine):
    def __init__(self, disk, name, image=None):
        self.disk = str(disk)
        super().__init__(
            ["-kernel", built("kernel.elf"), "-drive",
             "file=%s,format=raw,if=none,id=d" % disk,
             "-device", "virtio-blk-pci,drive=d"] +
            (["-initrd", str(image), "-append",
              "image=" + os.path.basename(image)[:-len(".image")]]
             if image else []), name=name)

    def file(self, name):
        """A file of the volume, '' while there is none."""
        self._drain(0)
        run = subprocess.run(["mtype", "-i", self.disk + VOLUME,
                              "::" + name], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        return run.stdout.decode("latin1")

    def is_saved(self):
        """The headers of the store, which a save writes last, name it."""
        self._drain(0)
        with open(self.disk, "rb") as f:
            f.seek(STORE)
            return b"Cuis5.0-3121-64" in f.read(65 * 4096)

    def new_line(self):
        self.key("end")
        self.key("ret")

    def do(self):
        self.key("alt", "d")


@pytest.fixture
def disk(cuis, tmp_path):
    path = disk_copy("blank-disk.img", tmp_path / "disk.img")
    subprocess.run(["mcopy", "-i", str(path) + VOLUME,
                    cuis.with_suffix(".changes"),
                    cuis.parent / "CuisV5.sources", "::"], check=True)
    return path


def test_cuis_desktop_on_the_machine(cuis, disk):
    with CuisMachine(disk, "cuis-machine-before", cuis) as m:
        m.desktop()
        m.menu(MENU_OPEN, OPEN_WORKSPACE)
        m.type("x := 3 + 4")
        m.key("alt", "p")
        m.rest()
        m.screenshot("cuis-machine-1-printed")
        assert m.do_it(CONTENTS, "printed.txt") == PRINTED
        # Sources are found where the image looks for them.
        assert "yourself" in m.do_it(
            "s nextPutAll: (Object sourceCodeAt: #yourself) asString",
            "source.txt")
        m.menu(MENU_SAVE)
        until(m.is_saved, "not saved", 120)
        m.rest()
        m.type(" UNSAVED")
        m.rest()
        m.screenshot("cuis-machine-2-unsaved")
    with CuisMachine(disk, "cuis-machine-after") as m:
        m.desktop()
        m.screenshot("cuis-machine-3-resumed")
        m.click(400, 300)
        assert m.do_it(CONTENTS, "resumed.txt") == PRINTED
        assert "UNSAVED" not in m.do_it(TEXT, "text.txt")
