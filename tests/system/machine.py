"""A QEMU machine as a test sees it: keys, pointer, screen, serial line.

Owns the QEMU process, its QMP socket and its serial socket. Knows nothing
of what the image shows; questions about that go through the serial
read-eval-print loop (`ask`).
"""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

from pictures import read_ppm

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
SHOTS = os.path.join(BUILD, "screenshots")
PROMPT = b"aerostat> "
# UEFI on a 64-bit processor, of 64 bits and of 32. Debian's 32-bit firmware
# wants the chip-set's own memory behind it.
OVMF = "/usr/share/OVMF/OVMF%s"
FIRMWARE = {
    "seabios": [],
    "ovmf": ["-bios", "/usr/share/ovmf/OVMF.fd"],
    "ovmf32": [
        "-M", "smm=on",
        "-global", "driver=cfi.pflash01,property=secure,value=on",
        "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" +
        OVMF % "32_CODE_4M.secboot.fd",
        "-drive", "if=pflash,format=raw,unit=1,snapshot=on,file=" +
        OVMF % "32_VARS_4M.fd"],
}
PASS_STATUS = 33  # isa-debug-exit, 0x10 written: (0x10 << 1) | 1

KEYS = {" ": "spc", "\n": "ret", "\t": "tab", "-": "minus", "=": "equal",
        "[": "bracket_left", "]": "bracket_right", ";": "semicolon",
        "'": "apostrophe", "`": "grave_accent", "\\": "backslash",
        ",": "comma", ".": "dot", "/": "slash"}
SHIFTED = dict(zip('!@#$%^&*()_+{}:"~|<>?', "1234567890-=[];'`\\,./"))


def blank(path, megabytes):
    """A disk of zeros; answers its path."""
    with open(path, "wb") as f:
        f.truncate(megabytes << 20)
    return str(path)


class Machine:
    """One run of QEMU. Use it in a `with`; leaving it kills the machine."""

    def __init__(self, args, memory=256, machine="q35", name="machine"):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="aerostat-")
        self.log = b""
        self.x = self.y = None
        command = [
            "qemu-system-x86_64", "-name", "aerostat,debug-threads=on",
            "-nodefaults", "-accel", "tcg",
            "-M", machine, "-m", str(memory), "-vga", "std",
            "-display", "none", "-no-reboot",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-chardev", "socket,id=ser,server=on,wait=off,path=" +
            self._path("serial"), "-serial", "chardev:ser",
            "-qmp", "unix:%s,server=on,wait=off" % self._path("qmp")]
        self.process = subprocess.Popen(
            command + args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.serial = self._connect("serial")
        self.qmp_socket = self._connect("qmp")
        self.qmp_file = self.qmp_socket.makefile("rwb")
        self._reply()
        self.qmp("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        os.makedirs(SHOTS, exist_ok=True)
        with open(os.path.join(SHOTS, self.name + ".serial"), "wb") as f:
            f.write(self.log)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _connect(self, name):
        for _ in range(200):
            try:
                s = socket.socket(socket.AF_UNIX)
                s.connect(self._path(name))
                return s
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.process.stdout.read().decode())
                time.sleep(0.05)
        raise RuntimeError("QEMU does not answer")

    # -- QMP --

    def _reply(self):
        while True:
            line = self.qmp_file.readline()
            if not line:
                raise RuntimeError("QEMU is gone")
            answer = json.loads(line)
            if "event" not in answer:
                return answer

    def qmp(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.qmp_file.write(json.dumps(request).encode() + b"\n")
        self.qmp_file.flush()
        answer = self._reply()
        if "error" in answer:
            raise RuntimeError("%s: %s" % (command, answer["error"]))
        return answer.get("return")

    def kill(self):
        """Pulls the plug."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait(self, timeout=120):
        """Waits for the machine to end by itself; answers its status."""
        deadline = time.time() + timeout
        while time.time() < deadline:
            self._drain(0.1)
            if self.process.poll() is not None:
                self._drain(0)
                return self.process.returncode
        raise AssertionError("still running; serial:\n" + self.text())

    # -- serial --

    def text(self):
        return self.log.decode(errors="replace")

    def _drain(self, timeout):
        self.serial.settimeout(max(timeout, 0.001))
        try:
            data = self.serial.recv(65536)
        except (socket.timeout, OSError):
            return b""
        self.log += data
        return data

    def expect(self, pattern, timeout=120, start=0):
        """Waits until the serial log from `start` matches the regex."""
        regex = re.compile(pattern.encode(), re.M | re.S)
        deadline = time.time() + timeout
        while True:
            found = regex.search(self.log, start)
            if found:
                return found
            if time.time() > deadline:
                raise AssertionError("no %r in:\n%s" % (
                    pattern, self.log[start:].decode(errors="replace")))
            if not self._drain(0.2) and self.process.poll() is not None:
                self._drain(0)
                if not regex.search(self.log, start):
                    raise AssertionError("ended (%s) without %r:\n%s" % (
                        self.process.returncode, pattern, self.text()))

    def prompt(self, timeout=120):
        """Waits for the read-eval-print loop to be ready; what the machine
        says by itself may come behind."""
        self.expect(re.escape(PROMPT.decode()) + r"([a-z]\w*: [^\n]*\n)*\Z",
                    timeout)

    def ask(self, expression, timeout=60):
        """Evaluates one line in the image; answers the lines it printed."""
        start = max(self.log.rfind(b"\n") + 1,  # what it is saying, as a whole
                    self.log.rfind(PROMPT) + len(PROMPT))
        self.serial.sendall(expression.encode() + b"\n")
        found = self.expect(r"(.*?)" + re.escape(PROMPT.decode()), timeout,
                            start)
        text = found.group(1).decode(errors="replace").replace("\r", "")
        # What the machine says by itself may come in between.
        return re.sub(r"^(saved .*|(desktop|usb\d*|store|files): .*)\n", "",
                      text, flags=re.M).strip()

    def until(self, expression, answer, timeout=30):
        """Asks again and again until the image answers so."""
        deadline = time.time() + timeout
        while True:
            got = self.ask(expression)
            if got == answer:
                return
            if time.time() > deadline:
                raise AssertionError("%s: %r, not %r" % (
                    expression, got, answer))
            time.sleep(0.2)

    def at_rest(self, expression, timeout=30):
        """The answer, once it is the same a second later."""
        deadline = time.time() + timeout
        got = self.ask(expression)
        while True:
            last = got
            time.sleep(1)
            got = self.ask(expression)
            if got == last:
                return got
            if time.time() > deadline:
                raise AssertionError("%s: does not rest, %r, %r" % (
                    expression, last, got))

    def rests(self, timeout=60):
        """Waits until the processor sleeps: all that was asked is done."""
        deadline = time.time() + timeout
        while "HLT=1" not in self.qmp("human-monitor-command", **{
                "command-line": "info registers"}):
            assert time.time() < deadline, "it never sleeps"
            self._drain(0.05)

    # -- keyboard --

    def key(self, *names):
        """Presses keys together: key('alt', 'p')."""
        keys = [{"type": "qcode", "data": n} for n in names]
        self.qmp("send-key", keys=keys, **{"hold-time": 20})
        time.sleep(0.05)

    def hold(self, name, down):
        key = {"type": "qcode", "data": name}
        self._send({"type": "key", "data": {"key": key, "down": down}})

    def type(self, text):
        for c in text:
            shift = c in SHIFTED or c.isupper()
            base = SHIFTED.get(c, c.lower())
            name = KEYS.get(base, base)
            self.key(*(["shift"] if shift else []), name)

    # -- pointer: relative, so it starts in the corner --

    def _send(self, *events):
        self.qmp("input-send-event", events=list(events))

    def _move(self, dx, dy):
        """By steps that fit a packet of PS/2 each."""
        while dx or dy:
            sx = max(-120, min(120, dx))
            sy = max(-120, min(120, dy))
            self._send({"type": "rel", "data": {"axis": "x", "value": sx}},
                       {"type": "rel", "data": {"axis": "y", "value": sy}})
            dx, dy = dx - sx, dy - sy
            time.sleep(0.03)

    def move_to(self, x, y):
        if self.x is None:
            self._move(-1320, -1320)  # over the whole of 1280 x 800
            self.x = self.y = 0
        self._move(x - self.x, y - self.y)
        self.x, self.y = x, y
        time.sleep(0.1)

    def button(self, name, down):
        self._send({"type": "btn", "data": {"button": name, "down": down}})
        time.sleep(0.08)

    def click(self, x, y, button="left"):
        self.move_to(x, y)
        self.button(button, True)
        self.button(button, False)
        time.sleep(0.15)

    def drag(self, x0, y0, x1, y1):
        self.move_to(x0, y0)
        self.button("left", True)
        self.move_to(x1, y1)
        self.button("left", False)

    # -- screen --

    def screenshot(self, name):
        """Keeps the screen as build/screenshots/NAME.png; answers the path."""
        os.makedirs(SHOTS, exist_ok=True)
        path = os.path.join(SHOTS, name + ".png")
        self.qmp("screendump", filename=path, format="png")
        return path

    def picture(self):
        """What is on the screen; the machine goes on saying things."""
        path = self._path("screen.ppm")
        self._drain(0)
        self.qmp("screendump", filename=path)
        return read_ppm(path)


class Stub:
    """QEMU's gdb stub: stops the processor, changes its registers."""
    NUMBERS = {"rdx": 3, "rsi": 4, "rdi": 5, "rsp": 7, "rip": 16}

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)
        self.file = self.socket.makefile("rb")
        # Single registers are told to those who know the description.
        self.ask("qXfer:features:read:target.xml:0,ffb")

    @staticmethod
    def args(path):
        """What QEMU must be told to have a stub at `path`."""
        return ["-gdb", "chardev:stub", "-chardev",
                "socket,id=stub,server=on,wait=off,path=" + path]

    def send(self, packet):
        self.socket.sendall(b"$%s#%02x" % (
            packet.encode(), sum(packet.encode()) & 255))

    def ask(self, packet):
        self.send(packet)
        answer = self._packet()
        while answer.startswith("T"):  # by itself: that it has stopped
            answer = self._packet()
        return answer

    def _packet(self):
        while self.file.read(1) != b"$":
            pass
        text = b""
        while not text.endswith(b"#"):
            text += self.file.read(1)
        self.file.read(2)
        self.socket.sendall(b"+")
        return text[:-1].decode()

    def get(self, register):
        text = self.ask("p%x" % self.NUMBERS[register])
        return int.from_bytes(bytes.fromhex(text), "little")

    def set(self, register, value):
        text = (value & (1 << 64) - 1).to_bytes(8, "little").hex()
        answer = self.ask("P%x=%s" % (self.NUMBERS[register], text))
        assert answer == "OK", answer

    def readable(self, address):
        return not self.ask("m%x,1" % address).startswith("E")

    def go(self):
        self.send("c")


def pvh(image, *words, kernel=None, stays=False):
    """QEMU arguments that start the kernel directly with an image in RAM.
    With `stays` one that refuses or stops waits for a key, to be looked at."""
    args = ["-kernel", kernel or os.path.join(BUILD, "kernel.elf"),
            "-append", ("" if stays else "exit=isa ") +
            ("image.args=" + " ".join(words) if words else "")]
    return args + (["-initrd", image] if image else [])
