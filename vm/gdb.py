"""Smalltalk for gdb: `source vm/gdb.py`, then

    st-stack [OOP]   the active process's stack, or that of a Process or Context
    st-print OOP     an object with its slots
    st-processes     every process of the heap, with its top activation

Reads memory alone, so it works on a core dump and on the kernel behind QEMU's
gdb stub (`gdb build/metal/kernel.debug`). Layout: vm/object.h, vm/frame.h.
"""
import struct

import gdb

SMALL_INTEGER, CHARACTER, SMALL_FLOAT = 1, 2, 4
FORWARDER, CONTEXT = 8, 36
FRAME_PC, FRAME_CALLER, FRAME_METHOD, FRAME_CLOSURE, FRAME_RECEIVER = (
    1, 0, -2, -3, -5)
CTX_SENDER, CTX_METHOD, CTX_CLOSURE, CTX_RECEIVER = 0, 3, 4, 5
PROC_CONTEXT, PROC_PRIORITY, PROC_NAME = 1, 2, 4
SPL_SCHEDULER = 3
MAX_DEPTH = 1000


def words(address, n):
    data = gdb.selected_inferior().read_memory(address, 8 * n)
    return struct.unpack("<%dQ" % n, bytes(data))


def word(address):
    return words(address, 1)[0]


def the_vm():
    """The running machine; interpret() keeps its frame in a register."""
    vm = gdb.parse_and_eval("'vm.c'::running")
    if int(vm) == 0:
        raise gdb.GdbError("no image runs yet")
    return vm.dereference()


# -- objects --

def is_pointer(o):
    return o & 7 == 0


def follow(o):
    while is_pointer(o) and o and word(o) & 0x3fffff == FORWARDER:
        o = word(o + 8)
    return o


def slot_count(o):
    n = word(o) >> 56
    return n if n < 255 else word(o - 8) & ((1 << 56) - 1)


def format_of(o):
    return word(o) >> 24 & 31


def slot(o, i):
    return follow(word(o + 8 + 8 * i))


def text(o):
    """The bytes of a string or symbol; None: it is not one."""
    if not is_pointer(o) or not 16 <= format_of(o) < 24:
        return None
    n = slot_count(o) * 8 - (format_of(o) & 7)
    data = gdb.selected_inferior().read_memory(o + 8, min(n, 200))
    return bytes(data).decode(errors="replace")


def class_of(o):
    index = word(o) & 0x3fffff if is_pointer(o) else o & 7
    if index & 7 == 3 and not is_pointer(o):
        index = SMALL_INTEGER
    page = int(the_vm()["heap"]["class_table"][index >> 10])
    return follow(word(page + 8 * (index & 1023)))


def class_name(c):
    if slot_count(c) == 6:  # a metaclass: its one instance is in slot 5
        return "%s class" % text(slot(slot(c, 5), 6))
    return text(slot(c, 6)) if slot_count(c) > 6 else "?"


def float_of(o):
    r = o >> 3
    r += 896 << 53 if r > 1 else 0
    return struct.unpack("<d", struct.pack("<Q", r >> 1 | (r & 1) << 63))[0]


def brief(o):
    heap = the_vm()["heap"]
    o = follow(o)
    if o & 7 == SMALL_INTEGER:
        return str((o >> 3) - (1 << 61 if o >> 63 else 0))
    if o & 7 == CHARACTER:
        return "$" + chr(o >> 3)
    if o & 7 == SMALL_FLOAT:
        return repr(float_of(o))
    for name, field in (("nil", "nil"), ("true", "true_"),
                        ("false", "false_")):
        if o == int(heap[field]):
            return name
    name = class_name(class_of(o))
    if name.endswith("Symbol"):
        return "#" + text(o)
    if name.endswith("String"):
        return "'%s'" % (text(o) or "...")
    if slot_count(o) > 6 and class_name(class_of(o)).endswith(" class"):
        return text(slot(o, 6)) or "a class"
    return "a(n) %s" % name


# -- activations: (frame address or 0, context) --

def home_method(method):
    """Blocks name the code around them in their last literal."""
    for _ in range(20):
        last = slot(method, word(method + 8) >> 3 & 0x7fff)
        if not is_pointer(last) or format_of(last) < 24:
            break
        method = last
    return method


def method_name(receiver, method):
    home = home_method(method)
    n = word(home + 8) >> 3 & 0x7fff
    name, holder = class_name(class_of(receiver)), "?"
    selector = slot(home, n - 1) if n > 1 else 0
    if selector and text(selector) is None and slot_count(selector) > 1:
        selector = slot(selector, 1)
    association = slot(home, n) if n else 0
    if association and is_pointer(association):
        holder = class_name(slot(association, 1))
    return "%s%s>>%s" % (name, "" if holder == name else "(%s)" % holder,
                         text(selector) if selector else "?")


def frame_word(fp, i):
    return word(fp + 8 * i)


def describe(fp, context):
    if fp:
        where, method = "frame", follow(frame_word(fp, FRAME_METHOD))
        receiver = follow(frame_word(fp, FRAME_RECEIVER))
        block = frame_word(fp, FRAME_CLOSURE) != 0
    else:
        where, method = "context", slot(context, CTX_METHOD)
        receiver = slot(context, CTX_RECEIVER)
        block = slot(context, CTX_CLOSURE) != int(the_vm()["heap"]["nil"])
    return "%-7s %#x  %s%s" % (where, fp or context, "[] in " * block,
                               method_name(receiver, method))


def activation(context):
    """A context, or the frame that it is married to."""
    if context == int(the_vm()["heap"]["nil"]):
        return None
    sender = word(context + 8)
    return (sender - SMALL_INTEGER, 0) if sender & 7 else (0, context)


def sender_of(fp, context):
    if not fp:
        return activation(slot(context, CTX_SENDER))
    caller = frame_word(fp, FRAME_CALLER)
    return ((caller, 0) if caller
            else activation(follow(frame_word(fp, FRAME_PC))))


def running_frame():
    """vm->fp is right in primitives; the bytecode loop has its own, and
    machine code, which no symbol names, keeps it in rbp."""
    vm, frame = the_vm(), gdb.newest_frame()
    low = int(vm["stack"])
    high = low + 8 * 1024 * int(vm["num_pages"])
    fp = 0
    if frame.name() is None:
        fp = int(gdb.parse_and_eval("$rbp").cast(vm["fp"].type))
    elif frame.name() == "interpret":
        try:
            fp = int(frame.read_var("fp"))
        except (gdb.error, ValueError):
            pass
    return fp if low <= fp < high else int(vm["fp"])


def active_process():
    special = int(the_vm()["heap"]["special"])
    return slot(slot(slot(special, SPL_SCHEDULER), 1), 1)


def top_of(process):
    if process == active_process():
        return running_frame(), 0
    context = slot(process, PROC_CONTEXT)
    return activation(context)


def processes():
    """By their class, in a walk over the whole heap."""
    heap = the_vm()["heap"]
    wanted, private = word(active_process()) & 0x3fffff, heap["private_"]
    for low, high in ((heap["old_start"], heap["old_end"]),
                      (heap["eden_start"], heap["eden_free"]),
                      (private["past_start"], private["past_free"])):
        base, data = int(low), words(int(low), (int(high) - int(low)) // 8)
        i = 0
        while i < len(data):
            n = data[i] >> 56
            if n == 255:
                n = data[i] & ((1 << 56) - 1)
                i += 1
            if data[i] & 0x3fffff == wanted:
                yield base + 8 * i
            i += 1 + max(n, 1)


# -- commands --

class StStack(gdb.Command):
    """st-stack [OOP]: Smalltalk stack of the active process, or of the
Process or Context OOP."""

    def __init__(self):
        super().__init__("st-stack", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if argument:
            o = follow(int(gdb.parse_and_eval(argument)))
            at = (activation(o) if word(o) & 0x3fffff == CONTEXT
                  else top_of(o))
        else:
            at = top_of(active_process())
        for _ in range(MAX_DEPTH):
            if at is None:
                return
            print(describe(*at))
            at = sender_of(*at)
        print("...")


class StPrint(gdb.Command):
    """st-print OOP: an object with its slots."""

    def __init__(self):
        super().__init__("st-print", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        o = follow(int(gdb.parse_and_eval(argument)) & (1 << 64) - 1)
        print(brief(o))
        if is_pointer(o) and format_of(o) <= 5:
            for i in range(min(slot_count(o), 100)):
                raw = word(o + 8 + 8 * i)
                print("  %3d  %#x  %s" % (i, raw, brief(raw)))


class StProcesses(gdb.Command):
    """st-processes: every process, its priority, name and top activation."""

    def __init__(self):
        super().__init__("st-processes", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        active, nil = active_process(), int(the_vm()["heap"]["nil"])
        for p in processes():
            at = top_of(p)
            if at is None and p != active:
                continue  # it has ended
            name = slot(p, PROC_NAME) if slot_count(p) > PROC_NAME else nil
            print("%s %#x  %s %s  %s" % (
                "*" if p == active else " ", p, brief(slot(p, PROC_PRIORITY)),
                brief(name), describe(*at)))


StStack()
StPrint()
StProcesses()
