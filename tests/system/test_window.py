"""The hosted VM in its window, with real X events: ours and Cuis 5.0."""
import os
import time

import pytest

import window
from conftest import hosted
from window import Window

pytestmark = pytest.mark.skipif(
    window.missing() is not None,
    reason="skipped: %s is not here" % window.missing())


def until(condition, what, timeout=60):
    deadline = time.time() + timeout
    while not condition():
        assert time.time() < deadline, what
        time.sleep(0.1)


def test_a_click_before_any_motion_arrives_where_the_pointer_is(image):
    pointer = (200, 700)
    with Window(image, size=(1400, 1000), pointer=pointer) as w:
        until(lambda: any(w.picture()[2][:30]), "no desktop")
        before = w.picture()
        w.x("click", 1)
        until(lambda: changed(before, w.picture()), "nothing opened")
        time.sleep(0.5)
        left, top, right, bottom = changed(before, w.picture("window-click"))
        x, y = pointer[0] - w.left, pointer[1] - w.top
        assert left <= x + 20 and x - 20 <= right
        assert top <= y + 20 and y - 20 <= bottom
        assert right - left < before[0] // 2


def changed(one, two):
    """Left, top, right, bottom of where they differ above the task bar."""
    width, height, _ = one
    assert two[:2] == one[:2]
    rows = [y for y in range(height - 40) if row(one, y) != row(two, y)]
    if not rows:
        return None
    columns = [x for y in rows for x in range(width)
               if pixel(one, x, y) != pixel(two, x, y)]
    return min(columns), rows[0], max(columns), rows[-1]


def row(picture, y):
    width = picture[0] * 3
    return picture[2][y * width:(y + 1) * width]


def pixel(picture, x, y):
    at = (y * picture[0] + x) * 3
    return picture[2][at:at + 3]


# -- Cuis: its desktop is always at the same pixels --

DESKTOP = (40, 100)         # bare background
MENU_OPEN = (85, 126)       # in the World menu that a click there opens
OPEN_WORKSPACE = (145, 172)
MENU_SAVE = (80, 286)
TASK_BAR = (900, 520)


class Cuis(Window):
    def desktop(self):
        until(lambda: pixel(self.picture(), *TASK_BAR) == b"\x7f\x7f\x7f",
              "no desktop")

    def evaluate(self, expression, file):
        """Types it into the text that has the focus and does it; answers
        what it has written into `file`."""
        path = os.path.join(self.directory, file)
        self.key("End", "Return")
        self.type("(DirectoryEntry currentDirectory // '%s') "
                  "forceWriteStreamDo: [:s | %s]" % (file, expression))
        self.key("alt+d")
        until(lambda: os.path.exists(path) and os.path.getsize(path),
              "%s is not written" % file)
        time.sleep(0.3)
        with open(path) as f:
            return f.read()

    def menu(self, *places):
        before = self.picture()
        self.click(*DESKTOP)
        until(lambda: changed(before, self.picture()), "no World menu")
        for place in places:
            time.sleep(0.4)
            self.click(*place)
        time.sleep(0.7)


CONTENTS = ("s print: x; newLine; nextPutAll: (Workspace allInstances "
            "anyOne actualContents asString lines first)")
PRINTED = "7\nx := 3 + 4 7 "


def test_cuis_desktop_worked_in_saved_killed_and_resumed(cuis):
    with Cuis(cuis) as w:
        w.desktop()
        w.menu(MENU_OPEN, OPEN_WORKSPACE)
        w.type("x := 3 + 4")
        w.key("alt+p")
        time.sleep(0.5)
        w.picture("cuis-1-printed")
        assert w.evaluate(CONTENTS, "printed.txt") == PRINTED
        old = os.stat(cuis).st_ino
        w.menu(MENU_SAVE)
        until(lambda: os.stat(cuis).st_ino != old, "not saved")
        time.sleep(1)
        w.type(" UNSAVED")
        w.picture("cuis-2-saved")
        w.kill()
    with Cuis(cuis) as w:
        w.desktop()
        w.picture("cuis-3-resumed")
        # The workspace has the focus still, x its value, text that came
        # after the save is gone.
        w.click(400, 300)
        assert w.evaluate(CONTENTS, "resumed.txt") == PRINTED
        assert "UNSAVED" not in w.evaluate(
            "s nextPutAll: Workspace allInstances anyOne actualContents "
            "asString", "text.txt")
