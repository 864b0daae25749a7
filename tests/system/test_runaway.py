"""Work that runs away on the booted desktop: the interrupt key and the end of
memory each give a notifier, and the desktop goes on."""
import pytest

from conftest import built
from desktop import click_text, open_from_world_menu, started, window
from machine import Machine, pvh

# Tells the test that the work has begun, by the serial line.
BEGUN = ("Object compile: 'begun ConsoleStream stdout "
         "nextPutAll: ''begun''; lf; flush'")
# And that it was stopped, by who is too urgent to be: a question on the line
# might be what runs when the key comes.
STOPPED = ("[[World windows anySatisfy: [:w | w title beginsWith: "
           "'User Interrupt']] whileFalse: [(Delay forMilliseconds: 50) "
           "wait]. ConsoleStream stdout nextPutAll: 'stopped'; lf; flush] "
           "forkAt: Processor timingPriority. 'watched'")
STUCK = ("Morph subclass: #Stuck instanceVariableNames: '' "
         "classVariableNames: '' package: 'Stuck'")

# Work without an end, as somebody types it.
ENDLESS = {
    "loop": "self begun. [true] whileTrue",
    "recursion": "| b | self begun. b := nil. "
                 "b := [:x | b value: x + 1]. b value: 1",
    "sends": "self begun. 3 dive",
    "catching": "self begun. [1/0] on: Error do: [:e | e retry]",
    "wait": "self begun. Semaphore new wait",
    "beside": "[self begun. [true] whileTrue] fork",
    "forked": "[self begun. [true] whileTrue] "
              "forkAt: Processor userInterruptPriority",
    "urgent": "[self begun. [true] whileTrue] "
              "forkAt: Processor timingPriority - 1",
    "factorial": "self begun. 1000000 factorial",
    "large numbers": "self begun. (10 raisedTo: 10000000) printString",
    "step": "(Smalltalk at: #Stuck) compile: 'step self begun. "
            "[true] whileTrue'. "
            "(Smalltalk at: #Stuck) new openInWorld; startStepping",
    "draw": "(Smalltalk at: #Stuck) compile: 'drawOn: c self begun. "
            "[true] whileTrue'. (Smalltalk at: #Stuck) new openInWorld",
}
# Work that takes all the memory there is, and how the notifier begins.
GREEDY = {
    "arrays": "| c | c := OrderedCollection new. "
              "[c add: (Array new: 100000)] repeat",
    "chain": "| c | [c := Array with: c] repeat",
    "sends": "3 dive",
    "strings": "| c | c := 'a'. [c := c , c] repeat",
    "string": "String new: 1000000000000",
    "array": "Array new: Smalltalk bytesLeft // 8 + 1",
    "forked": "[| c | [c := Array with: c] repeat] "
              "forkAt: Processor highIOPriority",
}


@pytest.fixture(scope="module")
def machines():
    """By memory; one that a failed test left behind is not used again."""
    running = {}
    yield running
    for m in running.values():
        m.__exit__()


def desktop(machines, memory):
    m = machines.get(memory)
    if m and not m.goes_on:
        m.__exit__()
    if not m or not m.goes_on:
        m = machines[memory] = Machine(
            pvh(built("aerostat.image")), memory=memory,
            name="runaway-%d" % memory)
        started(m, timeout=60)
        for line in (BEGUN, STUCK, "Object compile: 'dive ^ self dive + 1'"):
            m.ask(line)
    m.goes_on = False
    return m


@pytest.fixture
def plenty(machines):
    return desktop(machines, 512)


@pytest.fixture
def little(machines):
    return desktop(machines, 128)


def do_it(m, text):
    open_from_world_menu(m, "open...", "Workspace")
    click_text(m, window(m, "Workspace"))
    m.type(text)
    m.key("alt", "a")
    m.key("alt", "d")


def goes_on(m, title, free):
    """The notifier is there and closes by its key; after it the desktop
    prints 3 + 4, and the memory comes back."""
    m.until("World activeWindow title beginsWith: '%s'" % title, "true", 120)
    m.key("alt", "w")
    m.until("World activeWindow title", "'Workspace'")
    click_text(m, window(m, "Workspace"))
    m.key("alt", "a")
    m.type("3 + 4")
    m.key("alt", "p")
    m.until("World activeWindow codePane string", "'3 + 4 7'")
    m.ask("World submorphs copy do: [:e | (e isKindOf: TaskBar) "
          "ifFalse: [e delete]]")
    m.until("Smalltalk garbageCollect > %d" % (free * 9 // 10), "true")
    m.goes_on = True


@pytest.mark.parametrize("work", ENDLESS)
def test_the_interrupt_key_stops(plenty, work):
    m = plenty
    free = int(m.ask("Smalltalk garbageCollect"))
    assert m.ask(STOPPED) == "'watched'"
    start = len(m.log)
    do_it(m, ENDLESS[work])
    m.expect(r"begun\r?$", 60, start)
    m.key("alt", "dot")
    m.expect(r"^stopped\r?$", 60, start)
    goes_on(m, "User Interrupt", free)


def run_out(m, work):
    free = int(m.ask("Smalltalk garbageCollect"))
    do_it(m, GREEDY[work])
    goes_on(m, "OutOfMemory", free)


@pytest.mark.parametrize("work", GREEDY)
def test_the_end_of_memory_is_told(little, work):
    run_out(little, work)


def test_the_end_of_more_memory_is_told(plenty):
    run_out(plenty, "arrays")
