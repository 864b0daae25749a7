"""Keyboards and pointers of virtual machines: virtio-input, and VMware's
backdoor. Where PS/2 is taken away, every key and click comes over virtio."""
import re

import pytest

from conftest import built
from desktop import (HEIGHT, WIDTH, Tablet, open_from_world_menu, point,
                     started, type_into_workspace, window)
from machine import Machine, pvh

NO_PS2 = "q35,i8042=off"
KEYBOARD = "-device", "virtio-keyboard-pci"
MOUSE = "-device", "virtio-mouse-pci"
TABLET = "-device", "virtio-tablet-pci"


def desktop(name, *args, line="", machine=NO_PS2, kind=Machine):
    start = pvh(built("aerostat.image"))
    start[start.index("-append") + 1] += line
    return started(kind(start + list(args), machine=machine,
                        name="input-" + name))


def click_everywhere(m):
    for x, y in (100, 100), (WIDTH - 1, HEIGHT - 1), (0, 0), (640, 400):
        m.move_to(x, y)
        m.until("World hand position", "%d@%d" % (x, y))


# What may wake a machine that nobody touches.
ATTACHED = {
    "PS/2": ("q35", []),
    "USB": (NO_PS2, ["-device", "qemu-xhci", "-device", "usb-kbd",
                     "-device", "usb-tablet"]),
    "USB, EHCI": (NO_PS2, ["-device", "usb-ehci", "-device", "usb-kbd",
                           "-device", "usb-mouse"]),
    "USB, hub": (NO_PS2, ["-device", "qemu-xhci", "-device",
                          "usb-hub,port=1", "-device", "usb-kbd,port=1.1"]),
    "virtio": (NO_PS2, [*KEYBOARD, *TABLET]),
    "serial": (NO_PS2, []),
}
# Interrupts a second, over five of them; the question itself is outside.
RATE = ("[| count before | count := [(Machine current describe: "
        "'interrupts') lines inject: 0 into: [:sum :line | sum + (line "
        "findTokens: String tab) third asNumber]]. before := count value. "
        "(Delay forSeconds: 5) wait. (count value - before) / 5 < 20] value")


@pytest.mark.parametrize("kind", ATTACHED)
def test_a_machine_that_nobody_touches_sleeps(kind):
    """Once what its start left to do is done."""
    machine, args = ATTACHED[kind]
    with desktop("idle-" + re.sub(r"\W+", "-", kind), *args,
                 machine=machine) as m:
        m.until(RATE, "true", 60)


def scrolls(m):
    """The wheel moves what the pointer is over."""
    m.ask("(World windowNamed: 'Workspace') codePane "
          "text: (String new: 300 withAll: Character cr)")
    m.move_to(*point(m, window(m, "Workspace") + " codePane bounds center"))
    offset = "(World windowNamed: 'Workspace') codePane offset y > 0"
    m.until(offset, "false")
    for _ in range(3):
        m.button("wheel-down", True)
        m.button("wheel-down", False)
    m.until(offset, "true")


@pytest.mark.parametrize("machine", [NO_PS2, "pc,i8042=off"])
def test_virtio_keyboard_and_mouse(machine):
    with desktop("mouse-" + machine[:2], *KEYBOARD, *MOUSE,
                 machine=machine) as m:
        assert "QEMU Virtio Keyboard, keys" in m.text()
        assert "QEMU Virtio Mouse, relative pointer" in m.text()
        type_into_workspace(m)
        scrolls(m)


def test_virtio_interrupts_by_lines():
    with desktop("lines", *KEYBOARD, *MOUSE, line="nomsi") as m:
        type_into_workspace(m)


def test_virtio_tablet_points_where_it_touches():
    with desktop("tablet", *KEYBOARD, *TABLET, kind=Tablet) as m:
        assert "QEMU Virtio Tablet, absolute pointer" in m.text()
        click_everywhere(m)
        type_into_workspace(m)
        scrolls(m)


def test_a_virtio_key_held_down_repeats():
    with desktop("repeat", *KEYBOARD, *MOUSE) as m:
        open_from_world_menu(m, "open...", "Workspace")
        w = window(m, "Workspace")
        m.click(*point(m, w + " codePane bounds center"))
        m.hold("a", True)
        m.until(w + " codePane string size > 5", "true")
        m.hold("a", False)


def test_virtio_input_left_out():
    with desktop("left-out", *KEYBOARD, line="without=virtio_input") as m:
        assert "virtio_input: left out, as asked" in m.text()
        assert "QEMU Virtio Keyboard" not in m.text()


# -- VMware's backdoor, with the PS/2 controller --

@pytest.mark.parametrize("machine", ["q35,vmport=on", "pc,vmport=on"])
def test_the_backdoor_points_where_it_touches(machine):
    with desktop("backdoor-" + machine[:2], machine=machine,
                 kind=Tablet) as m:
        assert "vmmouse: absolute pointer" in m.text()
        click_everywhere(m)
        type_into_workspace(m)
        scrolls(m)


def test_many_moves_through_the_backdoor_leave_the_pointer_at_the_last():
    with desktop("backdoor-many", machine="q35,vmport=on", kind=Tablet) as m:
        for i in range(600):
            m._point(i, i)
        m._point(333, 222)
        m.until("World hand position", "333@222")


def test_steps_count_beside_the_backdoor():
    """The mouse that rings its bell is still a mouse."""
    with desktop("backdoor-steps", machine="q35,vmport=on") as m:
        assert "vmmouse: absolute pointer" in m.text()
        type_into_workspace(m)


@pytest.mark.parametrize("args,line", [
    ([], "without=vmmouse"), (["-cpu", "qemu64,-hypervisor"], "")])
def test_without_the_backdoor_there_is_the_mouse(args, line):
    with desktop("no-backdoor" + line, *args, line=line,
                 machine="q35,vmport=on") as m:
        assert "vmmouse: absolute" not in m.text()
        type_into_workspace(m)


def test_the_port_may_be_absent():
    with desktop("no-port", machine="q35,vmport=off") as m:
        assert "vmmouse" not in m.text()
        type_into_workspace(m)
