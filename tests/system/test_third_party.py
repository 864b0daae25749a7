"""Images that others made, hosted: the Pharo kernel and Cuis 5.0."""
import pytest

from conftest import hosted

PHARO_LIST = """Currently installed Command Line Handlers:
    loadHermes      Loads the hermes files passed as parameter
    printVersion    Print image version
    save            Rename the image and changes file"""

CUIS_SCRIPT = """| f |
f := DirectoryEntry currentDirectory // 'out.txt'.
f forceWriteStreamDo: [:s | s nextPutAll: (3+4) printString; newLine;
    nextPutAll: 100 factorial printString size printString; newLine;
    nextPutAll: Smalltalk allClasses size printString].
%s
"""


def test_pharo_lists_its_handlers(pharo):
    first = hosted(pharo)
    assert first.returncode == 0, first.stderr
    run = hosted(pharo, "--list")
    assert run.stdout.rstrip() == PHARO_LIST
    run = hosted(pharo, "--version")
    assert run.stdout.startswith(
        "Image: Pharo-8.0.0+build.1080.sha."
        "9f5ce2e933bc762841674ca3cf8476248a10247d (64 Bit)")
    run = hosted(pharo, "no-such-word")
    assert run.stdout.startswith("Invalid ")


def test_cuis_runs_a_script(cuis):
    script = cuis.parent / "script.st"
    script.write_text(CUIS_SCRIPT % "Smalltalk quitPrimitive.")
    run = hosted(cuis, "-s", "script.st", cwd=cuis.parent)
    assert run.returncode == 0, run.stderr
    out = (cuis.parent / "out.txt").read_text().split("\n")
    assert out == ["7", "158", "473"]


AT_ONCE = "--jit-threshold=0 --jit-threshold2=0"
MODES = {
    "interpreted": "--jit=off",
    "baseline": "--jit=1 --jit-threshold=0",
    "both at once": AT_ONCE,
    "both after one call": "--jit-threshold=1 --jit-threshold2=1",
    "deoptimised": AT_ONCE + " --jit-stress=deopt",
    "interpreted, gc stress": "--jit=off --stress-gc",
    "baseline, gc stress": "--jit=1 --jit-threshold=0 --stress-gc",
    "both, gc stress": AT_ONCE + " --stress-gc",
}


@pytest.mark.parametrize("mode", MODES)
def test_both_behave_however_they_are_run(mode, cuis, pharo):
    options = MODES[mode].split()
    script = cuis.parent / "script.st"
    script.write_text(CUIS_SCRIPT % "Smalltalk quitPrimitive.")
    run = hosted(*options, cuis, "-s", "script.st", cwd=cuis.parent)
    assert run.returncode == 0, run.stderr
    out = (cuis.parent / "out.txt").read_text().split("\n")
    assert out == ["7", "158", "473"]
    hosted(*options, pharo)
    assert hosted(*options, pharo, "--list").stdout.rstrip() == PHARO_LIST


def test_cuis_saves_and_runs_again(cuis):
    script = cuis.parent / "script.st"
    script.write_text(
        "Smalltalk at: #Kept put: 42.\n"
        "Smalltalk snapshot: true andQuit: true embedded: false "
        "clearAllClassState: false.\n")
    run = hosted(cuis, "-s", "script.st", cwd=cuis.parent)
    assert run.returncode == 0, run.stderr
    script.write_text(
        "(DirectoryEntry currentDirectory // 'kept.txt') "
        "forceWriteStreamDo: [:s | s print: (Smalltalk at: #Kept)].\n"
        "Smalltalk quitPrimitive.\n")
    run = hosted(cuis, "-s", "script.st", cwd=cuis.parent)
    assert run.returncode == 0, run.stderr
    assert (cuis.parent / "kept.txt").read_text() == "42"


# What exhausts the memory.
HUNGRY = {
    "recursion": "| b | b := nil. b := [:n | (b value: n + 1) + 1]. "
                 "b value: 1",
    "small objects": "| c | c := OrderedCollection new. "
                     "[c add: (Array new: 10)] repeat",
}
WATCHED = """[
    [SystemWindow allSubInstances anySatisfy: [:w |
        'Space is low*' match: w label]] whileFalse: [
            (Delay forSeconds: 1) wait].
    (DirectoryEntry currentDirectory // 'out.txt') forceWriteStreamDo: [:s |
        s print: 100 factorial printString size].
    Smalltalk quitPrimitive] forkAt: Processor userInterruptPriority.
[%s] fork.
"""


@pytest.mark.parametrize("name", HUNGRY)
def test_cuis_is_told_that_space_is_low_and_goes_on(name, cuis):
    script = cuis.parent / "script.st"
    script.write_text(WATCHED % HUNGRY[name])
    run = hosted("--memory", "200", cuis, "-s", "script.st", cwd=cuis.parent)
    assert run.returncode == 0, run.stderr
    assert (cuis.parent / "out.txt").read_text() == "158"


def test_the_interrupt_key_stops_a_loop_in_cuis(cuis):
    directory = cuis.parent
    (directory / "script.st").write_text(
        WATCHED.replace("Space is low", "User Interrupt") % "" +
        "[true] whileTrue")
    # Again and again: nobody tells when the loop has begun.
    (directory / "events").write_text("wait 3000\nkey alt+.\n" * 10)
    run = hosted("--events", "events", cuis, "-s", "script.st",
                 cwd=directory, timeout=60)
    assert run.returncode == 0, run.stderr
    assert (directory / "out.txt").read_text() == "158"
