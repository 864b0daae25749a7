"""The hosted VM's command line, as a person at a shell would use it."""
import hashlib
import os
import struct
import subprocess

import pytest

from conftest import built, hosted
from machine import TOP

# The same expressions are asked of the booted kernel in test_metal.py.
EXPRESSIONS = [
    ("3+4", "7"),
    ("100 factorial printString size", "158"),
    ("(1/3)+(2/3)", "1"),
    ("0.1", "0.1"),
    ("1.0e100 printString", "'1.0e100'"),
    ("(1 to: 100) inject: 0 into: [:a :b | a + b]", "5050"),
    ("#(3 1 2) asSortedCollection asArray", "#(1 2 3)"),
    ("'hello' reversed", "'olleh'"),
    ("[1/0] on: ZeroDivide do: [:e | e return: 42]", "42"),
    ("16rFF printString: 2", "'11111111'"),
    ("2 raisedTo: 100", "1267650600228229401496703205376"),
    ("1.5s2 + 1", "2.50s2"),
    ("(3/4) asFloat", "0.75"),
    ("$a < $b", "true"),
    ("Object selectors size > 50", "true"),
]


@pytest.mark.parametrize("expression, answer", EXPRESSIONS)
def test_eval(expression, answer):
    run = hosted(built("aerostat.image"), "eval", expression)
    assert run.stdout == answer + "\n", run.stderr
    assert run.returncode == 0


def test_an_error_prints_a_stack_and_exits_with_1():
    run = hosted(built("aerostat.image"), "eval", "1/0")
    assert run.returncode == 1
    assert "ZeroDivide" in run.stderr
    assert "SmallInteger" in run.stderr
    assert run.stdout == ""


def test_a_syntax_error_says_what_and_where():
    run = hosted(built("aerostat.image"), "eval", "3 + ) 4")
    assert run.returncode == 1
    assert run.stdout == ""
    assert ")" in run.stderr


def test_a_pipe_that_nobody_writes_to_stops_nothing(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = hosted(built("aerostat.image"), "eval",
                 "['%s' asFileReference binaryReadStreamDo: [:in |"
                 " in next: 10]] on: FileException do: [:e |"
                 " e return: #refused]" % pipe, timeout=60)
    assert run.stdout == "#refused\n", run.stderr


def test_several_words_in_sequence():
    run = hosted(built("aerostat.image"), "eval", "3+4", "eval", "4+5")
    assert run.stdout == "7\n9\n", run.stderr


def test_a_saved_image_goes_on_and_says_68533(image):
    run = hosted(image, "eval", "Smalltalk at: #Kept put: 6*7", "save")
    assert run.returncode == 0, run.stderr
    with open(image, "rb") as f:
        assert struct.unpack("<I", f.read(4))[0] == 68533
    run = hosted(image, "eval", "Smalltalk at: #Kept")
    assert run.stdout == "42\n", run.stderr


def test_a_failed_save_keeps_the_old_image(image):
    before = hashlib.sha256(open(image, "rb").read()).hexdigest()
    directory = os.path.dirname(image)
    run = subprocess.run(
        ["sh", "-c", "ulimit -f 1000; exec %s --headless %s eval 1 save" % (
            built("aerostat"), image)],
        timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL)
    assert run.returncode != 0
    after = hashlib.sha256(open(image, "rb").read()).hexdigest()
    assert before == after, os.listdir(directory)


def test_file_in_and_out(image, tmp_path):
    source = tmp_path / "point.st"
    source.write_text("""'From Squeak5.3 of 3 March 2020'!
Object subclass: #FiledIn
\tinstanceVariableNames: 'a'
\tclassVariableNames: ''
\tpoolDictionaries: ''
\tcategory: 'Test-Filing'!
!FiledIn commentStamp: '<historical>' prior: 0!
It's a comment with a bang!! inside.!

!FiledIn methodsFor: 'testing' stamp: 'xx 3/3/2020 10:00'!
answer
\t^ a ifNil: [42] ifNotNil: [:x | x]! !

!FiledIn class methodsFor: 'testing' stamp: 'xx 3/3/2020 10:00'!
make
\t^ self new! !
""")
    run = hosted(image, "filein", source, "eval", "FiledIn make answer",
                 "eval", "FiledIn comment")
    assert run.stdout == "42\n'It''s a comment with a bang! inside.'\n", \
        run.stderr


def test_two_clean_builds_give_the_same_image(tmp_path):
    other = tmp_path / "build"
    subprocess.run(["make", "-s", "BUILD=" + str(other),
                    str(other / "aerostat.image")], cwd=TOP, check=True,
                   stdout=subprocess.DEVNULL, timeout=600)
    one = hashlib.sha256(open(built("aerostat.image"), "rb").read())
    two = hashlib.sha256(open(other / "aerostat.image", "rb").read())
    assert one.hexdigest() == two.hexdigest()


def test_endless_recursion_ends_with_an_error_not_a_crash():
    run = hosted("--memory", "256", built("aerostat.image"), "eval",
                 "| b | b := nil. b := [:n | (b value: n + 1) + 1]. "
                 "b value: 1")
    assert run.returncode == 1
    assert run.stderr


def test_running_out_of_memory_is_an_error_not_a_crash():
    run = hosted("--memory", "128", built("aerostat.image"), "eval",
                 "| c | c := OrderedCollection new. "
                 "[[c add: (ByteArray new: 1000000)] repeat] "
                 "on: OutOfMemory do: [:e | c := nil. e return: nil]. 3+4")
    assert run.stdout == "7\n", run.stderr


def test_each_warning_leaves_as_much_as_the_first():
    run = hosted("--memory", "128", built("aerostat.image"), "eval",
                 "| left c | left := (1 to: 6) collect: [:i | | n | "
                 "Smalltalk garbageCollect. (Delay forSeconds: 1) wait. "
                 "[[c := Array with: c] repeat] on: OutOfMemory do: [:e | "
                 "n := Smalltalk bytesLeft. e return: nil]. c := nil. n]. "
                 "left min > (left max // 2)")
    assert run.stdout == "true\n", run.stderr


def test_the_image_recompiles_its_whole_self_and_passes_its_tests_again():
    run = hosted(built("aerostat.image"), "eval",
                 "Compiler recompileAll > 5000", "test", timeout=600)
    lines = run.stdout.strip().split("\n")
    assert lines[0] == "true"
    assert lines[-1].endswith(" passed, 0 failed"), run.stdout[-2000:]
    assert run.returncode == 0
