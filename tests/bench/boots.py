"""Time to the desktop, a row for each boot path of the matrix: what the
firmware takes until GRUB's menu is read, GRUB until the kernel's first line,
the kernel until the image runs, the image until its desktop is drawn. GRUB is
made to say a line, on copies of the media."""
import os
import shutil
import subprocess
import tempfile
import time

import machine
import media

SIGN = "GRUB is here"
SAY = ("serial --unit=0 --speed=115200\nterminal_output --append serial\n"
       "echo '%s'\nterminal_output --remove serial\n" % SIGN)
BOOT_VOLUME = 2 << 20  # of the stick, in bytes (iso/mkdisk.sh)


def talkative_cd(folder):
    root = os.path.join(folder, "root")
    shutil.copytree(os.path.join(machine.BUILD, "iso", "root"), root,
                    copy_function=os.link)
    menu = os.path.join(root, "boot", "grub", "grub.cfg")
    with open(menu) as f:
        text = f.read()
    os.unlink(menu)
    with open(menu, "w") as f:
        f.write(SAY + text)
    iso = os.path.join(folder, "cd.iso")
    subprocess.run(["grub-mkrescue", "--compress=xz", "--fonts=",
                    "--locales=", "--themes=", "-o", iso, root,
                    "--mbr-force-bootable"], check=True, timeout=120,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return iso, os.path.join(root, "boot", "grub", "grub.cfg")


def talkative_stick(folder, menu):
    stick = os.path.join(folder, "stick.img")
    subprocess.run(["cp", "--sparse=always", os.path.join(
        machine.BUILD, "aerostat-stick.img"), stick], check=True)
    subprocess.run(["mcopy", "-o", "-i", "%s@@%d" % (stick, BOOT_VOLUME),
                    menu, "::/boot/grub/grub.cfg"], check=True)
    return stick


def one(firmware, medium, file):
    """Milliseconds of the four."""
    began = time.monotonic()
    with machine.Machine(media.arguments(firmware, medium, file),
                         machine=media.board(medium), name="bench-boots") as m:
        m.expect(SIGN, timeout=120)
        grub = time.monotonic()
        m.expect("Aerostat, started through", timeout=120)
        kernel = time.monotonic()
        at = int(m.expect(r"image: .*, (\d+) ms after the kernel's entry",
                          timeout=120).group(1))
        done = int(m.expect(r"desktop: (\d+) ms after the kernel's entry",
                            timeout=120).group(1))
    return ((grub - began) * 1000, (kernel - grub) * 1000, at, done - at)


def boots(vm, image):
    with tempfile.TemporaryDirectory() as folder:
        cd, menu = talkative_cd(folder)
        stick = talkative_stick(folder, menu)
        for firmware, medium in media.PATHS:
            times = one(firmware, medium, cd if medium == "CD" else stick)
            path = "%s, %s" % (firmware, medium)
            for what, figure in zip(("firmware", "GRUB", "kernel", "image"),
                                    times):
                yield "%s: %s" % (path, what), "ms", figure
            yield "%s: to the desktop" % path, "ms", sum(times)
