"""The kernel under the image: panics, old machines, boot media, power."""
import re
import time

import pytest

from conftest import built
from machine import PASS_STATUS, Machine, pvh

OVMF = ["-bios", "/usr/share/ovmf/OVMF.fd"]


def without_exit_device(image, *words):
    """PVH arguments of a machine that ends as a real one does."""
    args = pvh(image, *words)
    at = args.index("-append") + 1
    args[at] = args[at].replace("exit=isa", "").strip()
    return args


def told(*words):
    """Words for a kernel that GRUB starts."""
    return ["-fw_cfg", "name=opt/aerostat/args,string=exit=isa image.args=" +
            " ".join(words)]


def test_a_panic_names_functions_and_methods_and_waits_for_a_key():
    with Machine(without_exit_device(built("aerostat.image"), "repl"),
                 name="panic") as m:
        m.prompt()
        m.qmp("inject-nmi")
        m.expect(r"Aerostat has stopped: non-maskable interrupt")
        m.expect(r"C stack:.* vm_run\+\d+")
        m.expect(r"^\S.*>>\S+")  # a Smalltalk method
        m.screenshot("panic")
        m.move_to(50, 50)
        time.sleep(0.5)
        assert m.process.poll() is None, "restarted by itself"
        m.key("a")
        assert m.wait(20) == 0  # -no-reboot: a reset ends QEMU


def test_power_off():
    with Machine(without_exit_device(built("aerostat.image"), "eval", "3+4",
                                     "poweroff"), name="power-off") as m:
        assert m.wait(60) == 0
        assert "\n7" in m.text().replace("\r", "")


@pytest.mark.parametrize("machine,clock,controller", [
    ("q35", "HPET", "APIC"),
    ("pc", "HPET", "APIC"),
    ("q35,hpet=off", "PIT", "APIC"),
    ("pc,acpi=off", "PIT", "8259"),
])
def test_machines_with_other_clocks_and_interrupts(machine, clock,
                                                   controller):
    with Machine(pvh(built("aerostat.image"), "repl"), machine=machine,
                 name="machine-" + re.sub(r"\W", "-", machine)) as m:
        m.prompt()
        assert "by " + clock in m.text()
        assert "interrupts: " + controller in m.text()
        took = m.ask("[(Delay forMilliseconds: 200) wait] timeToRun")
        assert 200 <= int(re.sub(r"\D", "", took)) or "0:00:00:00" in took


@pytest.mark.parametrize("firmware", ["seabios", "ovmf"])
@pytest.mark.parametrize("medium", ["cd", "stick"])
def test_grub_starts_it_from_every_medium(firmware, medium):
    iso = built("aerostat.iso")
    args = ["-cdrom", iso] if medium == "cd" else [
        "-drive", "if=none,id=u,format=raw,snapshot=on,file=" + iso,
        "-device", "qemu-xhci", "-device", "usb-storage,drive=u"]
    if firmware == "ovmf":
        args += OVMF
    with Machine(args + told("eval", "3+4", "poweroff"),
                 name="grub-%s-%s" % (firmware, medium)) as m:
        assert m.wait(180) == PASS_STATUS, m.text()
        assert "screen: boot loader's" in m.text()
        assert "\n7" in m.text().replace("\r", "")


def test_a_disk_without_a_system_passes_the_bios_on(tmp_path):
    disk = built("blank-disk.img")
    with Machine(["-cdrom", built("aerostat.iso"), "-drive",
                  "if=none,id=d,format=raw,snapshot=on,file=" + disk,
                  "-device", "virtio-blk-pci,drive=d"] +
                 told("eval", "3+4", "poweroff"), name="passed-on") as m:
        assert m.wait(120) == PASS_STATUS, m.text()
        assert "store: on virtio0p2" in m.text()
