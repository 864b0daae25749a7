"""The hosted VM in its window, with real X events: ours and Cuis 5.0."""
import os
import time

import pytest

import window
from cuis import (CONTENTS, MENU_OPEN, MENU_SAVE, OPEN_WORKSPACE, PRINTED,
                  TEXT, CuisDesktop)
from pictures import at_rest, pixel, until
from window import Window

pytestmark = pytest.mark.skipif(
    window.missing() is not None,
    reason="skipped: %s is not here" % window.missing())


def test_a_click_before_any_motion_arrives_where_the_pointer_is(image):
    pointer = (200, 700)
    with Window(image, size=(1400, 1000), pointer=pointer) as w:
        until(lambda: any(w.picture()[2][:30]), "no desktop")
        time.sleep(1)  # the first page comes after the first picture
        at_rest(w.picture)
        w.key("alt+w")
        before = at_rest(w.picture)
        w.x("click", 1)
        until(lambda: changed(before, w.picture()), "nothing opened")
        at_rest(w.picture)
        left, top, right, bottom = changed(before, w.picture("window-click"))
        x, y = pointer[0] - w.left, pointer[1] - w.top
        assert left <= x + 20 and x - 20 <= right
        assert top <= y + 20 and y - 20 <= bottom
        assert right - left < before[0] // 2


@pytest.mark.parametrize("dpi, size, expected", [
    (96, (1920, 1200), (1024, 768)),
    (192, (3840, 2160), (2048, 1536)),
    (192, (1920, 1200), (1920, 1200)),
])
def test_the_first_window_is_as_large_as_its_scale(image, dpi, size, expected):
    with Window(image, size=size, dpi=dpi) as w:
        until(lambda: any(w.picture()[2][:30]), "no desktop")
        assert w.picture("window-%d-%d" % (dpi, size[0]))[:2] == expected
        w.key("alt+w")
        w.click(expected[0] // 2, 100)
        w.key("Down", "Right", "Return")
        w.type("'scale' asFileReference contents: "
               "Theme scalePercent printString")
        w.key("alt+d")
        scale = os.path.join(w.directory, "scale")
        until(lambda: os.path.exists(scale), "nothing written")
        with open(scale) as f:
            assert f.read() == str(dpi * 100 // 96)


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


# -- Cuis --

class CuisWindow(CuisDesktop, Window):
    def file(self, name):
        path = os.path.join(self.directory, name)
        if not os.path.exists(path):
            return ""
        with open(path) as f:
            return f.read()

    def new_line(self):
        self.key("End", "Return")

    def do(self):
        self.key("alt+d")


def test_cuis_desktop_worked_in_saved_killed_and_resumed(cuis):
    with CuisWindow(cuis) as w:
        w.desktop()
        w.menu(MENU_OPEN, OPEN_WORKSPACE)
        w.type("x := 3 + 4")
        w.key("alt+p")
        w.rest()
        w.picture("cuis-1-printed")
        assert w.do_it(CONTENTS, "printed.txt") == PRINTED
        old = os.stat(cuis).st_ino
        w.menu(MENU_SAVE)
        until(lambda: os.stat(cuis).st_ino != old, "not saved")
        w.rest()
        w.type(" UNSAVED")
        w.picture("cuis-2-unsaved")
        w.kill()
    with CuisWindow(cuis) as w:
        w.desktop()
        w.picture("cuis-3-resumed")
        # The workspace is there, x has its value, the text that came after
        # the save is gone.
        w.click(400, 300)
        assert w.do_it(CONTENTS, "resumed.txt") == PRINTED
        assert "UNSAVED" not in w.do_it(TEXT, "text.txt")
