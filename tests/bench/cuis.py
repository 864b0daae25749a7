"""The fourteen programs of "Are We Fast Yet" in an image of others, Cuis 5.0:
filed out of ours, filed in there, run there. The image is looked for in
../shared/images, and only copies of it are used."""
import os
import re
import shutil
import subprocess
import tempfile

PROGRAMS = ("Bounce CD DeltaBlue Havlak Json List Mandelbrot NBody Permute "
            "Queens Richards Sieve Storage Towers").split()
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "..", "shared", "images", "cuis5-64")
NAME = "Cuis5.0-3121-64"

# Superclasses first. Other benchmarks stay here, comments too.
FILE_OUT = """[ | s names classes |
s := FileStream stdout.
names := '%s' substrings.
classes := Smalltalk allClasses asArray select: [:c |
    c category = #JSON or: [c category = #Benchmarks and: [
        (c inheritsFrom: Benchmark) not or: [
            names includes: (c name withoutSuffix: 'Benchmark')]]]].
classes := classes sort: [:a :b | | m n |
    m := a allSuperclasses size. n := b allSuperclasses size.
    m < n or: [m = n and: [a name <= b name]]].
classes do: [:c |
    s nextChunkPut: c definition; lf.
    c fileOutMethodsOn: s.
    c class fileOutMethodsOn: s.
    (c class includesSelector: #initialize) ifTrue: [
        s nextChunkPut: c name, ' initialize'; lf]].
#(%s) do: [:each |
    SequenceableCollection fileOutMethod: each on: s].
s nextPutAll: 'Smalltalk!'; lf; flush. 0 ] value"""

STAMP = "stamp: 'bench 1/1/2026 12:00'"
TESTS = {"isCharacter": "Character", "isBoolean": "Boolean",
         "isDictionary": "Dictionary"}  # that Cuis 5 does not know

OF_SEQUENCES = ["has:at:"]

# The result and how long the first and the best of three rounds took.
SCRIPT = """| out |
Smalltalk at: #OrderedDictionary ifAbsentPut: [Dictionary].
out := (DirectoryEntry currentDirectory // 'out.txt') forceWriteStream.
[
SystemChangeNotifier uniqueInstance doSilently: [
    (DirectoryEntry currentDirectory // 'bench.st') readStreamDo: [:s |
        s fileIn]].
#(%s) do: [:name | | b first |
    b := (Smalltalk at: (name, 'Benchmark') asSymbol) new.
    first := b timeOnce.
    out nextPutAll: name; space; print: (b measure min: first); newLine]
] on: Error do: [:e |
    out nextPutAll: 'failed: ', e description.
    (e signalerContext stackOfSize: 8) do: [:each |
        out nextPutAll: ', '; print: each].
    out newLine].
out nextPutAll: 'end'; close.
Smalltalk quitPrimitive.
"""


def is_there():
    return os.path.exists(os.path.join(FOLDER, NAME + ".image"))


def method(name, text):
    return "\n!%s methodsFor: 'bench' %s!\n%s! !\n" % (name, STAMP, text)


def filed_out(vm, image, programs):
    """Our sources in chunk format, as Cuis likes them."""
    run = subprocess.run([vm, "--headless", image, "eval",
                          FILE_OUT % (" ".join(programs),
                                      " ".join(OF_SEQUENCES)), "quit"],
                         stdout=subprocess.PIPE, check=True, text=True,
                         timeout=120, stdin=subprocess.DEVNULL)
    text = run.stdout[:run.stdout.rindex("Smalltalk!")].replace("\r", "\n")
    text = re.sub(r"^(!.* methodsFor: '[^']*')!", r"\1 %s!" % STAMP, text,
                  flags=re.M)
    for name, cls in TESTS.items():
        text += method("Object", name + "\n\t^ false")
        text += method(cls, name + "\n\t^ true")
    return (method("Character", "asInteger\n\t^ self numericValue") +
            method("Character class",
                   "value: n\n\t^ self numericValue: n") + text)


class Cuis:
    """A folder with Cuis and the programs; run it with any VM."""

    def __init__(self, vm, image, names):
        self.programs = [p for p in PROGRAMS if not names or p in names]
        self.folder = tempfile.TemporaryDirectory()
        self.write("bench.st", filed_out(vm, image, self.programs))
        self.write("run.st", SCRIPT % " ".join(self.programs))
        shutil.copy(os.path.join(FOLDER, "CuisV5.sources"), self.folder.name)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def run(self, command):
        """Microseconds by program."""
        for end in (".image", ".changes"):
            shutil.copy(os.path.join(FOLDER, NAME + end), self.path("c" + end))
            os.chmod(self.path("c" + end), 0o644)
        if os.path.exists(self.path("out.txt")):
            os.unlink(self.path("out.txt"))
        subprocess.run(command + ["c.image", "-s", "run.st"],
                       cwd=self.folder.name, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=600)
        with open(self.path("out.txt")) as f:
            lines = f.read().split("\n")
        if lines[-1] != "end" or lines[-2].startswith("failed"):
            raise RuntimeError("Cuis with %s: %s" % (command, lines[-2]))
        return {name: int(time) for name, time in
                (line.split() for line in lines[:-1])}
