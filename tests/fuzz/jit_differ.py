#!/usr/bin/env python3
"""Programs made at random must do the same interpreted and compiled:
jit_differ.py VM IMAGE SEED PROGRAMS.

Each program is a class with methods of arithmetic at the edges of
SmallInteger and of Float, loops, blocks with returns out of them, exceptions,
unwinding, contexts, become: and changes of the very class under running code.
It is run by the interpreter, and by machine code of either tier from the first
call on or soon after; every fourth with a collection at every safepoint, too,
every other leaving the second tier's code all the time. What it prints must be
equal, and so must what it leaves in the heap (heap_walk.st). A program that
differs is kept as /tmp/jit_differ.SEED.st; so is one that still runs after ten
times what the interpreter may take.
"""
import difflib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile

METHODS, RECURSIVE, CALLS, LONGEST = 10, 3, 16, 6
WALK = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "heap_walk.st")
NUMBERS = """0 1 -1 2 3 7 8 10 -5 255 4096 1152921504606846975
    -1152921504606846976 1152921504606846974 1073741823 4611686018427387904
    1152921504606846973 -1152921504606846975 1.5 -0.5 1.0e10 0.0 3 -0.0
    1.0e308 1.7976931348623157e308 5.0e-324 2.2250738585072014e-308
    2.2250738585072009e-308 1.0e-300 2.5""".split()
SPECIAL = ["Float nan", "Float infinity", "Float nan", "0.0 negated", "nil", "true",
           "'abc'", "#sym", "$a", "(Array with: 1 with: 2)", "Object"]
BINARY = "+ - * / // \\\\ < > <= >= = ~= == bitAnd: bitOr: bitShift:".split()
# Numbers stay small, programs stay short: steps are counted.
HELPERS = ["(Smalltalk at: #Fuzzed) compile: '%s'!" % m for m in (
    "other: x other := x. c := 0. steps := 0",
    "number: x steps := steps + 1. steps > 3000 ifTrue: [self error: ''long''"
    "]. ^ x isNumber ifTrue: [x] ifFalse: [3]",
    "cut: x ^ (x isInteger and: [x abs > (1 bitShift: 150)]) "
    "ifTrue: [x \\\\ 1000003] ifFalse: [x]",
    "kind ^ 1")]


class Program:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.methods = [self.method(i) for i in range(METHODS)]
        self.methods += [self.recursive(i) for i in range(RECURSIVE)]

    def pick(self, *choices):
        return self.r.choice(choices)

    def leaf(self, names):
        n = self.r.random()
        if n < .5 and names:
            return self.r.choice(names)
        if n < .62:
            return self.pick("a", "b", "c")
        if n < .97:
            return "(%s)" % self.r.choice(NUMBERS)
        return "(%s)" % self.r.choice(SPECIAL)

    def call(self, names, depth):
        if self.level == 0:
            return self.leaf(names)
        i = self.r.randrange(self.level)
        receiver = self.pick("self", "self", "self", "super copy yourself",
                             "other")
        if receiver.startswith("super"):
            receiver = "self"
        return "(%s m%d: %s with: %s)" % (
            receiver, i, self.value(names, depth - 1),
            self.value(names, depth - 1))

    def number_block(self, names, depth):
        return "[:x%d | %s]" % (depth, self.value(
            names + ["x%d" % depth], depth - 1))

    def value(self, names, depth):
        if depth <= 0:
            return self.leaf(names)
        v = lambda: self.value(names, depth - 1)
        kind = self.r.randrange(16)
        if kind == 15:
            return "(self r%d: %d with: %s)" % (
                self.r.randrange(RECURSIVE), self.r.randrange(7), v())
        if kind < 5:
            op = self.r.choice(BINARY)
            right = v()
            if op == "bitShift:":
                right = "(%d)" % self.r.randrange(-70, 64)
            return "(self cut: ((self number: %s) %s %s))" % (
                v(), op, right if op == "bitShift:"
                else "(self number: %s)" % right)
        if kind == 5:
            return self.call(names, depth)
        if kind == 6:
            return "((%s) == true ifTrue: [%s] ifFalse: [%s])" % (
                v(), v(), v())
        if kind == 7:
            return "(%s value: %s)" % (self.number_block(names, depth), v())
        if kind == 8:
            return "([%s] on: Error do: [:e%d | e%d return: %s])" % (
                v(), depth, depth, v())
        if kind == 9:
            return "([%s] ensure: [a := %s])" % (v(), v())
        if kind == 10:
            return "((Array with: %s with: %s) at: %s)" % (
                v(), v(), self.pick("1", "2", "3", v()))
        if kind == 11:
            return "(%s perform: #yourself)" % v()
        if kind == 12:
            return "((1 to: 4) inject: %s into: [:p%d :q%d | %s])" % (
                v(), depth, depth, self.value(
                    names + ["p%d" % depth, "q%d" % depth], depth - 1))
        if kind == 13:
            return "(%s isNil or: [(%s) class == SmallInteger])" % (v(), v())
        return "((self number: %s) max: (self number: %s))" % (v(), v())

    def float_loop(self, v):
        """Floats that could stay unboxed, until one is none any more."""
        return "t := %s. 1 to: %d do: [:i | t := (self number: t) %s %s. " \
            "u := u = t ifTrue: [t] ifFalse: [(self number: t) %s i]]" % (
                self.pick("0.5", "-0.0", "1.0e308", "5.0e-324", "Float nan"),
                self.r.randrange(2, 12), self.pick(*"+-*/"),
                self.pick("0.5", "2", "1.0e200", "(self number: %s)" % v(1)),
                self.pick(*"+-*"))

    def integer_loop(self, v):
        """Over the edge of SmallInteger and back."""
        return "t := %s. 1 to: %d do: [:i | t := self cut: t %s %s. " \
            "(t bitAnd: 7) = 5 ifTrue: [a := %s]]" % (
                self.pick("1152921504606846970", "-1152921504606846970",
                          "4611686018427387900"), self.r.randrange(2, 12),
                self.pick("+ 3 *", "-", "+", "* -3 +"),
                self.pick("i", "1", "2 * i"), v(1))

    def trick(self, v):
        """With contexts, and with what an object is while it runs."""
        temp = self.r.randrange(1, 5)
        return self.pick(
            # An array may be the one that holds the temps of several
            # contexts: no VM checks that it stays one.
            "(thisContext tempAt: %d) class == Array ifFalse: [thisContext "
            "tempAt: %d put: %s]" % (temp, temp, v(1)),
            "a := thisContext", "b := [:z | thisContext] value: %s" % v(1),
            "c := [:z | t := z. thisContext tempAt: 1] value: %s" % v(1),
            "t := thisContext sender method numTemps",
            "u := thisContext copy tempAt: %d" % self.r.randrange(1, 5),
            "[^ %s] ifCurtailed: [c := thisContext home == thisContext]" % (
                v(1)),
            "1 to: 5 do: [:i | i = 3 ifTrue: [other become: (Array with: i "
            "with: other)]. t := other class == Array and: [i > %s]]" % v(1),
            "1 to: 5 do: [:i | i = %d ifTrue: [(Smalltalk at: "
            "#FuzzedTwin) adoptInstance: self]. a := self kind. b := i]"
            % self.r.randrange(1, 6),
            "1 to: 4 do: [:i | i = 2 ifTrue: [self class compile: "
            "'kind ^ %d']. a := self kind]" % self.r.randrange(9),
            "(Smalltalk at: #Fuzzed) adoptInstance: self. c := self kind")

    def handled(self, v):
        """What handlers can do beside returning."""
        return self.pick(
            "t := [(Warning signal: 'w') printString size + %s] on: Warning "
            "do: [:e | e resume: %s]" % (self.pick("1", "0.5"), v(1)),
            "t := [[1 / 0. %s] on: MessageNotUnderstood do: [:e | 1]] "
            "on: ZeroDivide do: [:e | e return: %s]" % (v(1), v(1)),
            "t := [[Error signal: 'in'] on: Error do: [:e | e signal]] "
            "on: Error do: [:e | e messageText size]",
            "t := [[%s foo] on: Error do: [:e | e pass]] on: Error "
            "do: [:e | e return: %s]" % (v(1), v(1)),
            "u := 0. t := [u := u + 1. u < 3 ifTrue: [Error signal]. u] "
            "on: Error do: [:e | e retry]",
            "t := [[^ %s] ensure: [Error signal: 'late']] on: Error "
            "do: [:e | e return: %s]" % (v(1), v(1)),
            "t := [Error signal. 5] on: Error do: [:e | [e foo] on: Error "
            "do: [:f | f return: %s]]" % v(1))

    def statement(self, names, depth):
        v = lambda d=2: self.value(names, d)
        kind = self.r.randrange(22)
        if kind == 16:
            return self.float_loop(v)
        if kind == 17:
            return self.integer_loop(v)
        if kind in (18, 19):
            return self.trick(v)
        if kind in (20, 21):
            return self.handled(v)
        if kind < 4:
            return "%s := %s" % (self.pick("a", "b", "c", "t", "u"), v(3))
        if kind == 4:
            return "1 to: %d do: [:i | t := %s. %s]" % (
                self.r.randrange(1, 9), self.value(names + ["i"], 2),
                self.statement(names + ["i"], depth - 1) if depth else "u")
        if kind == 5:
            return "#(1 2 3) do: [:k | k = %s ifTrue: [^ %s]]" % (
                self.pick("2", "5", v(1)), v())
        if kind == 6:
            return "(%s) == nil ifTrue: [^ %s]" % (v(), v())
        if kind == 7:
            return "[:z | u := z] value: %s" % v()
        if kind == 8:
            return "[^ %s] ensure: [c := %s]" % (v(), v(1))
        if kind == 9:
            return "t := thisContext method numArgs + thisContext pc"
        if kind == 10:
            return "other become: (Array with: %s)" % v(1)
        if kind == 11:
            return "(self class instVarNames includes: 'd') ifFalse: [" \
                "self class addInstVarName: 'd']"
        if kind == 12:
            return "u := [:w | w > 2 ifTrue: ['big'] ifFalse: [w]]. " \
                "t := u value: %s" % v(1)
        if kind == 13 and self.level % 5 == 0:
            return "self class compile: 'extra ^ %d'. b := self extra" % (
                self.r.randrange(100))
        if kind == 14:
            return "t := 0. [t < %d] whileTrue: [t := t + 1. b := %s]" % (
                self.r.randrange(1, 12), v(2))
        return "a := [Error signal: 'x'. 1] on: Error do: " \
            "[:e | e retryUsing: [%s]]" % v(1)

    def guarded(self, statement):
        """Most errors end a statement only."""
        if self.r.random() < .2:
            return statement
        return "[%s] on: Error do: [:e | b := e class name size]" % statement

    def method(self, i):
        self.level = i
        names = ["p", "q", "t", "u"]
        body = ". ".join(self.guarded(self.statement(names, 1))
                         for _ in range(self.r.randrange(1, 5)))
        return "m%d: p with: q | t u | %s. ^ %s" % (
            i, body, self.value(names, 3))

    def recursive(self, i):
        """Small enough to be inlined in itself."""
        self.level = 0
        v = lambda names="": self.value(["n", "p"] + names.split(), 1)
        again = lambda: "(self r%d: n - 1 with: %s)" % (i, self.pick(
            "p", "n", v()))
        down = self.pick(
            again(), "(Array with: %s with: %s) last" % (again(), again()))
        body = self.pick(
            "^ %s" % down,
            "t := %s. ^ %s" % (down, v("t")),
            "^ (self number: %s) + (self number: %s)" % (again(), again()),
            "a := p. #(1 2) do: [:k | n = k ifTrue: [^ %s]]. ^ %s" % (
                v("k"), down),
            "^ [:k | k == 3 ifTrue: [^ p]. %s] value: n" % down,
            "^ [%s] ensure: [b := n]" % down,
            "^ [n = 2 ifTrue: [Error signal]. %s] on: Error do: [:e | "
            "e return: %s]" % (down, v()),
            "t := thisContext sender method selector size. ^ %s" % down,
            "[t := %s] value. ^ {t. p}" % down)
        return "r%d: n with: p | t | n < 1 ifTrue: [^ %s]. %s" % (
            i, v(), body)

    def source(self):
        lines = ["Object subclass: #Fuzzed instanceVariableNames: "
                 "'a b c other steps' classVariableNames: '' package: 'Fuzzed'!"]
        for m in self.methods:
            lines.append("(Smalltalk at: #Fuzzed) compile: '%s'!"
                         % m.replace("'", "''"))
        lines += HELPERS
        lines += ["(Smalltalk at: #Fuzzed) subclass: #FuzzedTwin "
                  "instanceVariableNames: '' classVariableNames: '' "
                  "package: 'Fuzzed'!",
                  "(Smalltalk at: #FuzzedTwin) compile: 'kind ^ 2'!"]
        for _ in range(CALLS):
            call = "(o m%d: (%s) with: (%s))" % (
                self.r.randrange(METHODS), self.r.choice(NUMBERS),
                self.r.choice(NUMBERS + SPECIAL))
            lines.append(
                "| o s | o := (Smalltalk at: #Fuzzed) new. o other: "
                "(Array new: 3). 3 timesRepeat: [s := [%s printString] "
                "on: Error do: [:e | e class name asString]. "
                "FileStream stdout nextPutAll: (s copyFrom: 1 to: "
                "(s size min: 200)); lf]. FileStream stdout nextPutAll: "
                "((Smalltalk at: #FuzzedWalk) new walk: o); lf!" % call)
        return "\n".join(lines) + "\n"


def run(vm, image, options, path, longest=LONGEST):
    """Status and output; None: it takes too long to be of use. What counts is
    the processor's time: others may use the machine."""
    try:
        done = subprocess.run(
            [vm, "--headless"] + options + [image, "filein", WALK, path,
                                           "quit"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=20 * longest,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_CPU, (longest, longest + 1)))
    except subprocess.TimeoutExpired:
        return None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return None
    return done.returncode, done.stdout


def ways(seed):
    """Options to run that program with, beside interpreting it."""
    both = ["--jit=on", "--check-heap", "--jit-threshold=0"]
    result = [["--jit=1", "--jit-threshold=%d" % (seed % 2 * 2)],
              both + ["--jit-threshold2=%d" % (seed % 3)]]
    if seed % 4 == 0:
        result.append(["--jit=1", "--jit-threshold=0", "--stress-gc"])
        result.append(both + ["--jit-threshold2=1", "--stress-gc"])
    if seed % 2 == 0:
        result.append(both + ["--jit-threshold2=1", "--jit-stress=deopt"])
    return result


def difference(expected, found):
    if not found:
        return "it does not end"
    lines = [done[1].decode(errors="replace").split("\n")
             for done in (expected, found)]
    return "status %d, not %d\n" % (found[0], expected[0]) + "\n".join(
        list(difflib.unified_diff(*lines, lineterm="", n=2))[:40])


def differs(vm, image, seed):
    with tempfile.NamedTemporaryFile("w", suffix=".st", delete=False) as f:
        f.write(Program(seed).source())
    expected = run(vm, image, ["--jit=off"], f.name)
    if not expected:
        os.unlink(f.name)
        return False
    if expected[0]:
        print("not ok seed %d: no program\n%s" % (
            seed, expected[1].decode(errors="replace")[:400]))
        return True
    for options in ways(seed):
        found = run(vm, image, options, f.name, 10 * LONGEST)
        if found != expected:
            os.replace(f.name, "/tmp/jit_differ.%d.st" % seed)
            print("not ok seed %d with %s" % (seed, " ".join(options)))
            print(difference(expected, found))
            return True
    os.unlink(f.name)
    return False


def main():
    vm, image, seed, programs = sys.argv[1:5]
    bad = sum(differs(vm, image, int(seed) + i)
              for i in range(int(programs)))
    print("%d passed, %d failed" % (int(programs) - bad, bad))
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
