"""Rows about whole machines: start, save, memory, idling; hosted and under
QEMU's emulation. Each answers (what, unit, figure) a few times."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "system"))
import machine  # noqa: E402
import boots  # noqa: E402
import devices  # noqa: E402
from heaps import heaps  # noqa: E402

IDLE_SECONDS = 5
SAVE = ("[ | t | t := Time millisecondClockValue. "
        "Smalltalk snapshot: true andQuit: false. "
        "Time millisecondClockValue - t ] value")


def booted(image, name, disk=None):
    """A machine that came to its desktop."""
    args = machine.pvh(image)
    if disk:
        args += ["-device", "virtio-blk-pci,drive=d", "-drive",
                 "id=d,if=none,format=raw,file=" + disk]
    m = machine.Machine(args, name="bench-" + name)
    m.prompt()
    return m


def boot(vm, image):
    with booted(image, "boot") as m:
        found = m.expect(r"desktop: (\d+) ms after the kernel's entry")
        yield "kernel entry to desktop", "ms", int(found.group(1))
    yield from boots.boots(vm, image)


def hosted_save_time(vm, image):
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(image, folder)
        run = subprocess.run([vm, "--headless", copy, "eval", SAVE, "quit"],
                             stdout=subprocess.PIPE, text=True, timeout=60)
        return int(run.stdout.split()[-1])


def save(vm, image):
    yield "save, hosted", "ms", hosted_save_time(vm, image)
    with tempfile.TemporaryDirectory() as folder:
        disk = shutil.copy(os.path.join(machine.BUILD, "blank-disk.img"),
                           folder)
        with booted(image, "save", disk) as m:
            yield "save, machine", "ms", int(m.ask(SAVE).split()[-1])


def status(pid, field):
    with open("/proc/%d/status" % pid) as f:
        return int(dict(line.split(":", 1) for line in f)[field].split()[0])


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Idle:
    """A hosted desktop that nobody touches."""

    def __init__(self, vm, image):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [vm, "--headless", shutil.copy(image, self.folder.name)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def __enter__(self):
        time.sleep(3)
        return self.process.pid

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def memory(vm, image):
    with Idle(vm, image) as pid:
        resident = status(pid, "VmRSS") * 1024
        yield "hosted desktop, resident", "MiB", resident / 2 ** 20
        yield ("  above the image's size", "MiB",
               (resident - os.path.getsize(image)) / 2 ** 20)
    with booted(image, "memory") as m:
        found = m.expect(r"desktop: .*, (\d+) MiB of memory in use")
        yield "machine with desktop, RAM", "MiB", int(found.group(1))


def rates(pid, switches):
    """CPU share in percent and sleeps a second while nothing happens."""
    cpu, sleeps = cpu_seconds(pid), switches()
    time.sleep(IDLE_SECONDS)
    return ((cpu_seconds(pid) - cpu) / IDLE_SECONDS * 100,
            (switches() - sleeps) / IDLE_SECONDS)


def processor_thread(pid):
    """The thread in which QEMU emulates the processor."""
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/comm" % (pid, task)) as f:
            if f.read().startswith("CPU"):
                return int(task)
    raise RuntimeError("QEMU has no processor")


def idle(vm, image):
    with Idle(vm, image) as pid:
        cpu, sleeps = rates(
            pid, lambda: status(pid, "voluntary_ctxt_switches"))
        yield "hosted idle, CPU", "%", cpu
        yield "hosted idle, wake-ups", "/s", sleeps
    with booted(image, "idle") as m:
        time.sleep(3)
        pid = m.process.pid
        thread = processor_thread(pid)
        cpu, sleeps = rates(
            pid, lambda: status(thread, "voluntary_ctxt_switches"))
        yield "machine idle, CPU of QEMU", "%", cpu
        yield "machine idle, wake-ups", "/s", sleeps


SCREENS = ("1024x768", "1920x1080")
# Thirty frames by the process that draws; {0} makes w, a window, {1} is one
# frame. The time includes the way to the screen.
FRAMES = ("[ | done w t | done := Semaphore new. World defer: [ [ w := {0}. "
          "World displayNow. t := Time microsecondsToRun: [ "
          "30 timesRepeat: [ {1}. World displayNow ] ]. w delete ] "
          "ensure: [ done signal ] ]. done wait. t ] value")
MOTIONS = {
    "drag": ("(Browser openOnClass: Morph selector: #drawOn:) window",
             "w position: w position + (4 @ 2)"),
    "type": ("(Workspace openContents: 'x := 3 + 4') window",
             "w model view editor insert: 'x'"),
    "scroll": ("(Workspace openContents: "
               "(Morph sourceCodeAt: #fullDrawOn:) , "
               "(String new: 200 withAll: Character lf)) window "
               "bounds: World workArea; yourself",
               "w model view scrollBy: w model view lineStep"),
}


def frames(vm, image):
    for screen in SCREENS:
        args = machine.pvh(image)
        args[args.index("-append") + 1] += " mode=" + screen
        with machine.Machine(args, name="bench-frames") as m:
            m.prompt()
            for name, (window, step) in MOTIONS.items():
                answer = m.ask(FRAMES.format(window, step))
                yield ("%s, %s" % (name, screen), "ms",
                       int(answer.split()[-1]) / 30000)


def blits(vm, image):
    """Prints its own table: ours beside pixman, in alternation."""
    program = os.path.join(machine.BUILD, "bench", "blits")
    if os.path.exists(program):
        subprocess.run([program], check=True, timeout=300)
    else:
        print("blits beside pixman: skipped, libpixman-1-dev is missing")
    return ()


ROWS = {"heaps": heaps, "boot": boot, "save": save, "memory": memory,
        "idle": idle, "frames": frames, "blits": blits, **devices.ROWS}


def print_rows(vm, image, names, rounds):
    for name in names:
        figures = {}
        for _ in range(1 if name == "blits" else rounds):
            for what, unit, figure in ROWS[name](vm, image):
                figures.setdefault((what, unit), []).append(figure)
        for (what, unit), found in figures.items():
            print("%-36s %10.2f %-5s (%.1f-%.1f)" % (
                what, statistics.median(found), unit, min(found),
                max(found)), flush=True)
