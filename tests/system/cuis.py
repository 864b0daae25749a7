"""Cuis 5.0's desktop as a person works in it, in a window or on the machine:
its windows and menus are always at the same pixels."""
import time

from pictures import above_task_bar, at_rest, pixel, until

DESKTOP = (40, 100)         # bare background
MENU_OPEN = (85, 126)       # in the World menu that a click there opens
OPEN_WORKSPACE = (145, 172)
MENU_SAVE = (80, 286)
TASK_BAR = (20, 8)          # from the lower right corner
GREY = b"\x7f\x7f\x7f"

# Writes what x is and what the workspace says in its first line.
CONTENTS = ("s print: x; newLine; nextPutAll: (Workspace allInstances "
            "anyOne actualContents asString lines first)")
PRINTED = "7\nx := 3 + 4 7 "
TEXT = ("s nextPutAll: Workspace allInstances anyOne actualContents "
        "asString")


class CuisDesktop:
    """Mixed into what has picture, move_to, click, type, new_line, do
    and file."""

    def desktop(self):
        def shown():
            width, height, _ = picture = self.picture()
            return pixel(picture, width - TASK_BAR[0],
                         height - TASK_BAR[1]) == GREY
        until(shown, "no desktop", 120)
        time.sleep(1)

    def click_and_see(self, place):
        """Clicks; waits until the screen has changed and rests again."""
        self.move_to(*place)
        before = above_task_bar(self.rest())
        self.click(*place)
        until(lambda: above_task_bar(self.picture()) != before,
              "nothing happens at %d@%d" % place)
        self.rest()

    def rest(self):
        """The picture, once two in a row are alike."""
        return at_rest(self.picture)

    def menu(self, *places):
        for place in (DESKTOP,) + places:
            self.click_and_see(place)

    def do_it(self, expression, file):
        """Types it into a new line of the text that has the focus and does
        it; answers what it has written into `file`."""
        self.new_line()
        self.type("(DirectoryEntry currentDirectory // '%s') "
                  "forceWriteStreamDo: [:s | %s]" % (file, expression))
        self.do()
        until(lambda: self.file(file), file + " is not written")
        time.sleep(0.3)
        return self.file(file)
