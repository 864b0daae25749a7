"""vm/gdb.py: Smalltalk stacks in gdb, of a process, a core dump, and the
kernel behind QEMU's stub."""
import os
import shutil
import subprocess
import time

import pytest

from conftest import built
from machine import BUILD, TOP, Machine, Stub, pvh

pytestmark = pytest.mark.skipif(not shutil.which("gdb"),
                                reason="skipped: there is no gdb here")

LOOP = "#(1 2) do: [:x | Smalltalk garbageCollect]"
STACK = ["[] in UndefinedObject>>DoIt",
         "Array(SequenceableCollection)>>do:",
         "UndefinedObject>>DoIt"]


def gdb(program, *commands):
    words = ["set debuginfod enabled off", "set pagination off", *commands]
    args = ["gdb", "-q", "-nx", "-batch"]
    for word in words:
        args += ["-ex", word]
    done = subprocess.run(args + program, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120, text=True,
                          cwd=TOP, stdin=subprocess.DEVNULL)
    return done.stdout


def has_stack(output):
    at = -1
    for line in STACK:
        at = output.find(line + "\n", at + 1)
        assert at >= 0, "%s is not in\n%s" % (line, output)


def hosted_eval(expression):
    return ["--args", built("aerostat"), "--headless",
            built("aerostat.image"), "eval", expression]


def test_stack_processes_and_objects_of_a_program():
    output = gdb(hosted_eval(LOOP), "source vm/gdb.py",
                 "break heap_full_gc", "run", "st-stack", "st-processes",
                 "st-print 'vm.c'::running->heap.special")
    has_stack(output)
    for name in ("'timer'", "'idle'", "'low space'"):
        assert name in output
    assert "a(n) Array" in output and "#doesNotUnderstand:" in output


def test_a_core_dump_has_the_stack(tmp_path):
    core = str(tmp_path / "core")
    gdb(hosted_eval(LOOP), "break heap_full_gc", "run",
        "generate-core-file " + core)
    assert os.path.getsize(core) < 1 << 30
    has_stack(gdb([built("aerostat"), core], "source vm/gdb.py", "st-stack"))


def test_the_kernel_behind_qemus_stub(tmp_path):
    stub = str(tmp_path / "gdb")
    with Machine(pvh(built("aerostat.image"), "repl") + Stub.args(stub),
                 name="gdb") as m:
        m.prompt()
        # A loop of sends: the bytecode loop itself is stopped.
        m.serial.sendall(b"[:x | [x foo: 1] on: Error do: [:e | "
                         b"ConsoleStream stdout nextPutAll: 'begun'; lf; "
                         b"flush. [e selector] repeat]] value: 3\n")
        m.expect(r"begun\r?$")
        output = gdb([os.path.join(BUILD, "metal", "kernel.debug")],
                     "source vm/gdb.py", "target remote " + stub, "st-stack",
                     "st-processes", "disconnect")
        assert "UndefinedObject>>DoIt\n" in output, output
        assert "SmallInteger(ProtoObject)>>doesNotUnderstand:" in output
        assert "'console'" in output


def test_a_stack_that_stopped_in_machine_code(tmp_path):
    stub = str(tmp_path / "gdb")
    with Machine(pvh(built("aerostat.image"), "repl") + Stub.args(stub),
                 name="gdb-code") as m:
        m.prompt()
        m.serial.sendall(b"ConsoleStream stdout nextPutAll: 'begun'; lf; "
                         b"flush. [((1 to: 300) asOrderedCollection "
                         b"collect: [:e | e * 7 \\\\ 101]) asArray "
                         b"sort: [:a :b | a <= b]] repeat\n")
        m.expect(r"begun\r?$")
        time.sleep(1)
        shown = 0
        for _ in range(30):
            output = gdb([os.path.join(BUILD, "metal", "kernel.debug")],
                         "source vm/gdb.py", "target remote " + stub,
                         "st-stack", "detach")
            if " in ?? ()" not in output:  # in C, an interrupt perhaps
                continue
            assert "UndefinedObject>>DoIt\n" in output, output
            shown += 1
            if shown == 6:
                break
        assert shown == 6
