"""The whole promise, as a person would do it: boot, work, save, pull the
plug, come back. Keyboard and mouse through QMP; the serial loop only tells
where things are and checks what is seen."""
import shutil

import pytest

from conftest import built, disk_copy
from desktop import (bring_to_front, centre, click_text,
                     open_from_world_menu, started, window)
from machine import Machine

OVMF = "/usr/share/ovmf/OVMF.fd"

# How a machine finds its boot medium and the disk that it saves to.
MEDIA = {
    "cd-seabios": lambda iso, disk: [
        "-boot", "d", "-cdrom", iso,
        "-drive", "file=%s,format=raw,if=none,id=d" % disk,
        "-device", "virtio-blk-pci,drive=d"],
    "cd-ovmf": lambda iso, disk: [
        "-bios", OVMF, "-boot", "d", "-cdrom", iso,
        "-drive", "file=%s,format=raw,if=none,id=d" % disk,
        "-device", "ide-hd,drive=d,bus=ide.1"],
    "stick-as-disk": lambda iso, disk: [
        "-drive", "file=%s,format=raw,if=none,id=d" % iso,
        "-device", "ide-hd,drive=d,bus=ide.0"],
    "usb-stick-seabios": lambda stick, disk: usb_stick(stick),
    "usb-stick-ovmf": lambda stick, disk: [
        "-bios", OVMF] + usb_stick(stick) + [
        "-device", "usb-kbd", "-device", "usb-mouse"],
    "usb-stick-ehci": lambda stick, disk: usb_stick(stick, "usb-ehci"),
}


def usb_stick(stick, controller="qemu-xhci"):
    return ["-drive", "file=%s,format=raw,if=none,id=s" % stick,
            "-device", controller, "-device", "usb-storage,drive=s"]


def start(medium, iso, disk, run):
    return started(Machine(MEDIA[medium](iso, disk), memory=256,
                           name="promise-%s-%s" % (medium, run)), timeout=60)


def work(m, medium):
    """Everything before the save."""
    open_from_world_menu(m, "open...", "Workspace")
    w = window(m, "Workspace")
    click_text(m, w)
    m.type("x := 3 + 4")
    m.key("alt", "p")
    m.until("%s codePane string" % w, "'x := 3 + 4 7'")
    m.screenshot(medium + "-1-workspace")

    m.key("end")
    m.type("\nBouncingAtomsMorph new openInWorld")
    m.key("alt", "d")
    m.until("World submorphs anySatisfy: [:e | "
            "e class name = #BouncingAtomsMorph]", "true")

    open_from_world_menu(m, "open...", "System Browser")
    b = window(m, "System Browser")
    click_text(m, b)
    m.key("alt", "a")
    m.type("Object subclass: #Promise instanceVariableNames: '' "
           "classVariableNames: '' package: 'Promises'")
    m.key("alt", "s")
    m.until("Smalltalk includesKey: #Promise", "true")
    m.until("World activeWindow title", "'System Browser: Promise'")
    click_text(m, b)
    m.key("alt", "a")
    m.type("kept\n^ 42")
    m.key("alt", "s")
    m.until("(Smalltalk at: #Promise) includesSelector: #kept", "true")
    m.screenshot(medium + "-2-browser")

    bring_to_front(m, "Workspace")
    click_text(m, w)
    m.key("alt", "a")
    m.type("y := Promise new kept + x. 1/0. y := y + 1")
    m.key("alt", "a")
    m.key("alt", "d")
    d = window(m, "ZeroDivide")
    m.click(*centre(m, d + " buttonLabelled: 'Debug'"))
    m.until("(World windowNamed: 'ZeroDivide') model class name",
            "#Debugger")
    m.screenshot(medium + "-3-debugger")


def state(m):
    return m.ask("(World windows collect: [:e | e title -> e bounds]) asArray")


ATOM = ("(World submorphs detect: [:e | e class name = "
        "#BouncingAtomsMorph]) submorphs first position")


def check(m, medium, saved):
    """Everything after the plug was pulled."""
    assert state(m) == saved
    m.screenshot(medium + "-5-resumed")
    w = window(m, "Workspace")
    assert m.ask(w + " model bindings at: #x") == "7"
    assert "UNSAVED" not in m.ask(w + " codePane string")
    before = m.ask(ATOM)
    m.until("(%s) = (%s)" % (ATOM, before), "false")
    assert m.ask("(Smalltalk at: #Promise) new kept") == "42"
    # Proceed works: the debugger goes away, the expression goes on.
    d = bring_to_front(m, "ZeroDivide")
    m.click(*centre(m, d + " buttonLabelled: 'Proceed'"))
    m.until("(World windowNamed: 'ZeroDivide') isNil", "true")
    m.until(w + " model bindings at: #y", "50")
    m.screenshot(medium + "-6-proceeded")


@pytest.mark.parametrize("medium", list(MEDIA))
def test_the_whole_promise(medium, tmp_path):
    iso = shutil.copy(built("aerostat.iso"), tmp_path / "boot.iso")
    if "stick" in medium:
        iso = disk_copy("aerostat-stick.img", tmp_path / "stick.img")
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    with start(medium, iso, disk, "before") as m:
        work(m, medium)
        open_from_world_menu(m, "save")
        m.until("WorldMenu lastSaved notNil", "true", timeout=60)
        m.prompt()
        saved = state(m)
        w = bring_to_front(m, "Workspace")
        click_text(m, w)
        m.type("UNSAVED")
        m.until("%s codePane string includesSubstring: 'UNSAVED'" % w,
                "true")
        m.screenshot(medium + "-4-unsaved")
    with start(medium, iso, disk, "after") as m:
        check(m, medium, saved)
