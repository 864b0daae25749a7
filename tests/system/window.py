"""The hosted VM in a window of a display of its own: Xvfb, and xdotool as
the person. Owns both processes; a screen taken off the VM is a PPM picture.
"""
import os
import re
import shutil
import signal
import subprocess
import time

from machine import BUILD, SHOTS
from pictures import read_ppm


def missing():
    """What of the tools is not here, or None."""
    for tool in ("Xvfb", "xdotool"):
        if not shutil.which(tool):
            return tool
    return None


class Window:
    """One run of the VM. Use it in a `with`; leaving it kills both."""

    def __init__(self, image, *words, size=(1100, 800), options=(),
                 pointer=None, dpi=96):
        self.directory = os.path.dirname(os.path.abspath(image))
        self.ppm = os.path.join(self.directory, "screen.ppm")
        read, write = os.pipe()
        self.display = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0",
             "%dx%dx24" % size, "-dpi", str(dpi), "-noreset",
             "-nolisten", "tcp"],
            pass_fds=[write], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as f:
            number = f.readline().strip()
        # Xvfb tells its resolution in the old way only.
        self.environment = dict(os.environ, DISPLAY=":" + number,
                                SDL_VIDEODRIVER="x11",
                                SDL_VIDEO_X11_XRANDR="0")
        if pointer:
            self.x("mousemove", *pointer)
        self.log = open(os.path.join(self.directory, "vm.log"), "w+")
        self.vm = subprocess.Popen(
            [os.path.join(BUILD, "aerostat"), "--screenshot", self.ppm,
             *options, str(image), *words],
            cwd=self.directory, env=self.environment, stdout=self.log,
            stderr=self.log, stdin=subprocess.DEVNULL)
        try:
            self.left, self.top = self._find()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.display.kill()
        self.display.wait()
        self.log.close()

    def kill(self):
        """SIGKILL: nobody is asked."""
        if self.vm.poll() is None:
            self.vm.kill()
        self.vm.wait()

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def x(self, *words):
        """One command of xdotool; answers what it says."""
        run = subprocess.run(["xdotool", *map(str, words)], timeout=30,
                             env=self.environment, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        return run.stdout

    def _find(self):
        """Where the window is on its display."""
        deadline = time.time() + 60
        while time.time() < deadline:
            place = self.x("search", "--name", "^Aerostat$",
                           "getwindowgeometry")
            found = re.search(r"Position: (-?\d+),(-?\d+)", place)
            if found:
                return int(found.group(1)), int(found.group(2))
            assert self.vm.poll() is None, self.said()
            time.sleep(0.2)
        raise AssertionError("no window:\n" + self.said())

    # -- pointer and keys --

    def move_to(self, x, y):
        self.x("mousemove", self.left + x, self.top + y)

    def click(self, x, y, button=1):
        self.move_to(x, y)
        self.x("click", button)

    def key(self, *names):
        self.x("key", "--delay", 30, *names)

    def type(self, text):
        self.x("type", "--delay", 30, text)

    # -- screen --

    def picture(self, name=None):
        """(width, height, pixels RGB), kept as build/screenshots/NAME.ppm."""
        if os.path.exists(self.ppm):
            os.remove(self.ppm)
        self.vm.send_signal(signal.SIGUSR1)
        deadline = time.time() + 30
        while time.time() < deadline:
            picture = read_ppm(self.ppm)
            if picture:
                if name:
                    os.makedirs(SHOTS, exist_ok=True)
                    shutil.copy(self.ppm, os.path.join(SHOTS, name + ".ppm"))
                return picture
            assert self.vm.poll() is None, self.said()
            time.sleep(0.05)
        raise AssertionError("no picture:\n" + self.said())
