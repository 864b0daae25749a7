"""The kernel under the image: panics, old machines, boot media, power."""
import os
import re
import subprocess
import time

import pytest

from conftest import built
from machine import FIRMWARE, BUILD, PASS_STATUS, Machine, Stub, pvh



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
        m.rests()
        m.qmp("inject-nmi")
        m.expect(r"Aerostat has stopped: non-maskable interrupt")
        # machine code, if it idles in that, keeps no C frames below it
        m.expect(r"C stack:.* (vm_run|jit_\w+)\+\d+")
        m.expect(r"^\S.*>>\S+")  # a Smalltalk method
        m.screenshot("panic")
        m.move_to(50, 50)
        time.sleep(0.5)
        assert m.process.poll() is None, "restarted by itself"
        m.key("a")
        assert m.wait(20) == 0  # -no-reboot: a reset ends QEMU


def symbol(name):
    table = subprocess.run(
        ["nm", os.path.join(BUILD, "metal", "kernel.debug")], check=True,
        stdout=subprocess.PIPE, text=True).stdout
    return int(re.search(r"^(\w+) \w %s$" % name, table, re.M).group(1), 16)


def direct(name):
    """Where a symbol lies in the map of all RAM."""
    return symbol(name) - 0xffffffff80000000 + 0xffff800000000000


def overflow(stub):
    """The stack pointer to the end of the stack that is in use."""
    at = stub.get("rsp") & ~4095
    while stub.readable(at):
        at -= 4096
    stub.set("rsp", at + 4096)
    stub.set("rip", symbol("vm_dump_stack"))


def call(function, rdi):
    """Makes the processor run function(rdi, 0, 8)."""
    def act(stub):
        stub.set("rsp", stub.get("rsp") - 4096 & ~15)
        stub.set("rip", symbol(function))
        stub.set("rdi", symbol(rdi) if isinstance(rdi, str) else rdi)
        stub.set("rsi", 0)
        stub.set("rdx", 8)
    return act


# What a mistake in C does, what is said of it, and where it happened.
MISTAKES = {
    "null": (call("memset", 16), "writing 0{14}10, a null pointer", "memset"),
    "code": (call("memset", "kmain"), "writing \\w+, the kernel's code",
             "memset"),
    "constants": (call("memset", "symbol_count"),
                  "writing \\w+, the kernel's constants", "memset"),
    "code as RAM": (lambda stub: call("memset", direct("kmain"))(stub),
                    "writing ffff8\\w+", "memset"),
    "gap": (call("memset", 0x7fff00000000),
            "writing 00007fff0{8}, the image's range", "memset"),
    "wild": (call("memset", 0x1234567812345678), None, "memset"),
    "data": (lambda stub: stub.set("rip", symbol("__rodata_end")),
             "running \\w+, the kernel's data", None),
    "heap": (lambda stub: stub.set("rip", 0xffffd00000000000),
             "running \\w+, the C heap", None),
    "image": (lambda stub: stub.set("rip", 0x200000000000),
              "running \\w+, the image's range", None),
    "stack": (overflow, "writing \\w+, a stack, or the guard page",
              "vm_dump_stack"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_c_panics_with_its_place(mistake, tmp_path):
    act, message, function = MISTAKES[mistake]
    path = str(tmp_path / "stub")
    with Machine(without_exit_device(built("aerostat.image"), "repl") +
                 Stub.args(path), name="mistake-" + mistake) as m:
        m.prompt()
        stub = Stub(path)
        act(stub)
        stub.go()
        m.expect(r"Aerostat has stopped: " +
                 ("page fault " + message if message else
                  "general protection"), 30)
        m.expect(r"C stack:\r?\n  \w+ " + (function or r"\?"), 30)
        m.expect(r"^\S.*>>\S+", 30)  # the Smalltalk stack, too
        assert "while stopping" not in m.text()


def test_power_off():
    with Machine(without_exit_device(built("aerostat.image"), "eval", "3+4",
                                     "poweroff"), name="power-off") as m:
        assert m.wait(60) == 0
        assert "\n7" in m.text().replace("\r", "")


@pytest.mark.parametrize("machine,clock,controller", [
    ("q35", "HPET", "APIC"),
    ("pc", "HPET", "APIC"),
    ("q35,hpet=off", "ACPI's timer", "APIC"),
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


@pytest.mark.parametrize("firmware", list(FIRMWARE))
@pytest.mark.parametrize("medium", ["cd", "cd-on-a-stick", "stick"])
def test_grub_starts_it_from_every_medium(firmware, medium):
    iso = built("aerostat-stick.img" if medium == "stick" else "aerostat.iso")
    args = ["-cdrom", iso] if medium == "cd" else [
        "-drive", "if=none,id=u,format=raw,snapshot=on,file=" + iso,
        "-device", "qemu-xhci", "-device", "usb-storage,drive=u"]
    args = FIRMWARE[firmware] + args
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
