"""The whole promise, as a person would do it: boot, work, save, pull the
plug, come back. Keyboard and mouse through QMP; the serial loop only tells
where things are and checks what is seen."""
import os
import re
import shutil

import pytest

from conftest import built
from machine import BUILD, Machine

OVMF = "/usr/share/ovmf/OVMF.fd"

# How a machine finds its boot medium and the disk that it saves to.
MEDIA = {
    "cd-seabios": lambda iso, disk: [
        "-cdrom", iso, "-drive", "file=%s,format=raw,if=none,id=d" % disk,
        "-device", "virtio-blk-pci,drive=d"],
    "cd-ovmf": lambda iso, disk: [
        "-bios", OVMF, "-cdrom", iso,
        "-drive", "file=%s,format=raw,if=none,id=d" % disk,
        "-device", "ide-hd,drive=d,bus=ide.1"],
    "stick-as-disk": lambda iso, disk: [
        "-drive", "file=%s,format=raw,if=none,id=d" % iso,
        "-device", "ide-hd,drive=d,bus=ide.0"],
}


def start(medium, iso, disk, run):
    m = Machine(MEDIA[medium](iso, disk), memory=256,
                name="promise-%s-%s" % (medium, run))
    m.prompt(timeout=180)
    return m


def rectangle(machine, expression):
    """Centre of a rectangle that the image answers: (x, y)."""
    answer = machine.ask("(%s) center rounded" % expression)
    found = re.match(r"\(?(-?\d+)@(-?\d+)\)?$", answer)
    assert found, "%s: %s" % (expression, answer)
    return int(found.group(1)), int(found.group(2))


def open_from_world_menu(m, *words):
    """Clicks the bare desktop, then the words of the menu, one by one."""
    x, y = rectangle(m, "World emptySpot extent: 0@0")
    m.click(x, y)
    for word in words:
        m.until("(World menuItemNamed: '%s') notNil" % word, "true")
        x, y = rectangle(m, "(World menuItemNamed: '%s') bounds" % word)
        m.click(x, y)


def window(m, title):
    m.until("(World windowNamed: '%s') notNil" % title, "true")
    return "(World windowNamed: '%s')" % title


def work(m, medium):
    """Everything before the save."""
    open_from_world_menu(m, "open...", "Workspace")
    w = window(m, "Workspace")
    x, y = rectangle(m, w + " bounds")
    m.click(x, y)
    m.type("x := 3 + 4")
    m.key("alt", "p")
    m.until("(%s contentsText includesSubstring: '7')" % w, "true")
    m.screenshot(medium + "-1-workspace")

    m.key("end")
    m.type("\nBouncingAtomsMorph new openInWorld")
    m.key("alt", "d")
    m.until("(World submorphs anySatisfy: [:e | "
            "e class name = #BouncingAtomsMorph])", "true")

    open_from_world_menu(m, "open...", "System Browser")
    b = window(m, "System Browser")
    x, y = rectangle(m, b + " codePane bounds")
    m.click(x, y)
    m.key("alt", "a")
    m.type("Object subclass: #Promise instanceVariableNames: '' "
           "classVariableNames: '' package: 'Promises'")
    m.key("alt", "s")
    m.until("(Smalltalk includesKey: #Promise)", "true")
    x, y = rectangle(m, b + " codePane bounds")
    m.click(x, y)
    m.ask(b + " model selectClass: (Smalltalk at: #Promise)")
    m.key("alt", "a")
    m.type("kept ^ 42")
    m.key("alt", "s")
    m.until("((Smalltalk at: #Promise) includesSelector: #kept)", "true")
    m.screenshot(medium + "-2-browser")

    x, y = rectangle(m, w + " titleBounds")
    m.click(x, y)
    x, y = rectangle(m, w + " codePane bounds")
    m.click(x, y)
    m.key("alt", "a")
    m.type("y := Promise new kept + x. 1/0. y := y + 1")
    m.key("alt", "d")
    m.until("(World windows anySatisfy: [:e | "
            "e title includesSubstring: 'ZeroDivide'])", "true")
    m.screenshot(medium + "-3-debugger")


def state(m):
    return m.ask("(World windows collect: [:e | e title -> e bounds]) "
                 "printString")


def check(m, medium, saved):
    """Everything after the plug was pulled."""
    assert state(m) == saved
    m.screenshot(medium + "-5-resumed")
    assert m.ask("(World windowNamed: 'Workspace') model "
                 "bindings at: 'x'") == "7"
    assert m.ask("((World windowNamed: 'Workspace') contentsText "
                 "includesSubstring: 'UNSAVED')") == "false"
    atoms = ("((World submorphs detect: [:e | e class name = "
             "#BouncingAtomsMorph]) submorphs first position)")
    before = m.ask(atoms)
    m.until(atoms + " = (%s)" % before, "false")
    assert m.ask("Promise new kept") == "42"
    # Proceed works: the debugger goes away, the doit finishes.
    d = ("(World windows detect: [:e | e title "
         "includesSubstring: 'ZeroDivide'])")
    x, y = rectangle(m, d + " titleBounds")
    m.click(x, y)
    x, y = rectangle(m, "(%s buttonLabelled: 'Proceed') bounds" % d)
    m.click(x, y)
    m.until("(World windows noneSatisfy: [:e | e title "
            "includesSubstring: 'ZeroDivide'])", "true")
    m.until("(World windowNamed: 'Workspace') model bindings at: 'y'", "50")
    m.screenshot(medium + "-6-proceeded")


@pytest.mark.parametrize("medium", list(MEDIA))
def test_the_whole_promise(medium, tmp_path):
    iso = shutil.copy(built("aerostat.iso"), tmp_path / "boot.iso")
    if medium == "stick-as-disk":
        iso = shutil.copy(built("aerostat-stick.img"), tmp_path / "stick.img")
    disk = shutil.copy(built("blank-disk.img"), tmp_path / "disk.img")
    with start(medium, iso, disk, "before") as m:
        work(m, medium)
        open_from_world_menu(m, "save")
        m.expect(r"saved", timeout=120)
        saved = state(m)
        x, y = rectangle(m, window(m, "Workspace") + " titleBounds")
        m.click(x, y)
        x, y = rectangle(m, window(m, "Workspace") + " codePane bounds")
        m.click(x, y)
        m.type("UNSAVED")
        m.until("((World windowNamed: 'Workspace') contentsText "
                "includesSubstring: 'UNSAVED')", "true")
        m.screenshot(medium + "-4-unsaved")
    with start(medium, iso, disk, "after") as m:
        check(m, medium, saved)
