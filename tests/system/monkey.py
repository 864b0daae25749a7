#!/usr/bin/env python3
"""A monkey at the desktop: SEED EVENTS [WIDTH HEIGHT] prints a file of random
pointer and keys for `aerostat --events`. The same seed, the same file.

It mostly clicks what it has just opened: near the last click, so that menus
and buttons are hit more often than the bare desktop.
"""
import random
import sys

KEYS = ["return", "tab", "escape", "backspace", "delete", "home", "end",
        "left", "right", "up", "down", "pageup", "pagedown"]
COMMANDS = "abcdefgilmnoprsvwxzDZ"
TEXTS = ["3 + 4", "Object new", "self halt", "1/0", "'abc' reversed",
         "Smalltalk", "^", "[", "nil foo", "100 factorial", "World",
         "(1 to: 9) asOrderedCollection"]


class Monkey:
    def __init__(self, seed, width, height):
        self.random = random.Random(seed)
        self.width, self.height = width, height
        self.x, self.y = width // 2, height // 2

    def go(self):
        r = self.random
        if r.random() < 0.5:
            self.x += r.randint(-120, 120)
            self.y += r.randint(-100, 140)
        else:
            self.x, self.y = r.randrange(self.width), r.randrange(self.height)
        self.x = max(0, min(self.width - 1, self.x))
        self.y = max(0, min(self.height - 1, self.y))

    def click(self):
        self.go()
        button = self.random.choices(["left", "right", "middle"],
                                     [12, 4, 2])[0]
        yield "click %d %d %s" % (self.x, self.y, button)

    def drag(self):
        self.go()
        yield "move %d %d" % (self.x, self.y)
        yield "press left"
        for _ in range(self.random.randint(1, 4)):
            self.go()
            yield "move %d %d" % (self.x, self.y)
        yield "release left"

    def point(self):
        self.go()
        yield "move %d %d" % (self.x, self.y)

    def press_key(self):
        yield "key " + self.random.choice(KEYS)

    def command(self):
        yield "key alt+" + self.random.choice(COMMANDS)

    def type(self):
        yield "type " + self.random.choice(TEXTS)

    def roll(self):
        yield "wheel 0 %d" % self.random.choice([-3, -1, 1, 3])

    def rest(self):
        yield "wait %d" % self.random.choice([1, 20, 100])

    def interrupt(self):
        yield "key alt+."

    def lines(self, count):
        what = [self.click, self.drag, self.point, self.press_key,
                self.command, self.type, self.roll, self.rest,
                self.interrupt]
        for _ in range(count):
            yield from self.random.choices(
                what, [40, 6, 8, 12, 8, 5, 4, 6, 0.2])[0]()


def events(seed, count, width, height):
    return "".join(line + "\n"
                   for line in Monkey(seed, width, height).lines(count))


if __name__ == "__main__":
    numbers = [int(n) for n in sys.argv[1:]]
    sys.stdout.write(events(*(numbers + [1008, 532][len(numbers) - 2:])))
