"""What a person does on the desktop, for system tests: menus, windows,
dialogs. The serial loop tells where things are; keys and pointer do the rest.
"""
import re
import time

from machine import Machine

WIDTH, HEIGHT = 1280, 800  # unless the kernel is told otherwise


class Tablet(Machine):
    """Points as a tablet does, 0 to 32767 across the screen."""
    size = WIDTH, HEIGHT

    def _point(self, x, y):
        self._send(*({"type": "abs", "data": {
            "axis": axis, "value": (at * 32768 + 16384) // size}}
            for axis, at, size in zip("xy", (x, y), self.size)))

    def move_to(self, x, y):
        self._point(x, y)
        time.sleep(0.1)


def started(m, timeout=120):
    """The machine, once its desktop is there. One that does not come is killed:
    nobody has it in a `with` yet."""
    try:
        m.prompt(timeout)
        m.until("World notNil", "true")
    except BaseException:
        m.__exit__()
        raise
    return m


def point(machine, expression):
    """A point that the image answers, as (x, y)."""
    answer = machine.ask("(%s) rounded" % expression)
    found = re.match(r"\(?(-?\d+)@(-?\d+)\)?$", answer)
    assert found, "%s: %s" % (expression, answer)
    return int(found.group(1)), int(found.group(2))


def centre(machine, expression):
    return point(machine, "(%s) bounds center" % expression)


def click(m, x, y):
    """QEMU's mouse loses steps that a busy machine does not fetch in time: a
    pointer that is not there comes again, from the corner."""
    there = "(World hand position dist: %d @ %d) < 3" % (x, y)
    m.move_to(x, y)
    for _ in range(3):
        try:
            m.until(there, "true", timeout=5)
            break
        except AssertionError:
            m.x = None
            m.move_to(x, y)
    else:
        m.until(there, "true")
    m.click(x, y)


def open_from_world_menu(m, *words):
    """Clicks the bare desktop, then the words of the menu, one by one."""
    click(m, *point(m, "World emptySpot"))
    for word in words:
        m.until("(World boundsOfMenuItem: '%s') notNil" % word, "true")
        click(m, *point(m, "(World boundsOfMenuItem: '%s') center" % word))


def window(m, title):
    m.until("(World windowNamed: '%s') notNil" % title, "true")
    return "(World windowNamed: '%s')" % title


def bring_to_front(m, title):
    """By its button in the task bar: another window may cover its own."""
    w = window(m, title)
    if m.ask("World activeWindow == " + w) == "false":
        click(m, *centre(m, "World taskBar buttonFor: " + w))
    m.until("World activeWindow == " + w, "true")
    return w


def click_text(m, w):
    click(m, *centre(m, w + " codePane"))


def dialog(m, title, picture=None):
    """Waits for that dialog; answers what it says."""
    m.until("World dialog notNil and: [World dialog title = '%s']" % title,
            "true")
    text = m.ask("World dialog contentsText")
    if picture:
        m.screenshot(picture)  # by now it is drawn
    return text


def press(m, label):
    """Clicks a button of the dialog in front."""
    click(m, *centre(m, "World dialog buttonLabelled: '%s'" % label))


def no_dialog(m):
    m.until("World dialog isNil", "true")


def write_in_workspace(m, text):
    """Opens one with that text; answers the window."""
    open_from_world_menu(m, "open...", "Workspace")
    w = window(m, "Workspace")
    click_text(m, w)
    m.type(text)
    m.until("%s codePane string" % w, "'%s'" % text)
    return w


def type_into_workspace(m):
    """Menu, window, keys with Shift and Alt: input works."""
    open_from_world_menu(m, "open...", "Workspace")
    w = window(m, "Workspace")
    click_text(m, w)
    m.type("Foo := 6 * (3 + 4)")
    m.key("alt", "p")
    m.until("%s codePane string" % w, "'Foo := 6 * (3 + 4) 42'")
    return w
