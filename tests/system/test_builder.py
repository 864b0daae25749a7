"""The image builder's own words: every error says file, line and selector."""
import subprocess

import pytest

from conftest import built

HEAD = """"I am a test."
Class {
    #name : #Thing,
    #superclass : #Object,
    #instVars : [ 'a' ],
    #category : #P
}

{ #category : #all }
"""

ERRORS = [
    ("Thing >> foo [\n    ^ (3\n]\n", 11, "Thing>>foo: ) expected"),
    ("Thing >> foo [\n    ^ 'abc\n]\n", 10, "without a closing ]"),
    ("Thing >> foo [\n\n    ^ bar\n]\n", 12,
     "Thing>>foo: undeclared variable bar"),
    ("Thing >> foo: x [\n    x := 3\n]\n", 11,
     "Thing>>foo:: cannot store into the argument x"),
    ("Thing class >> foo [\n    self := 3\n]\n", 11,
     "Thing class>>foo: cannot store into self"),
    ("Thing >> foo [\n    | b b |\n]\n", 10,
     "Thing>>foo: b is declared twice"),
    ("Thing >> foo [\n    ^ 1.\n    2\n]\n", 12,
     "Thing>>foo: statements after a return"),
    ("Thing >> foo [\n    ^ #[1 256]\n]\n", 11,
     "Thing>>foo: a byte 0 to 255 is expected"),
]


def check(tmp_path, source):
    package = tmp_path / "P"
    package.mkdir()
    (package / "Thing.class.st").write_text(source)
    return subprocess.run([built("imagebuilder"), "--check", tmp_path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60)


@pytest.mark.parametrize("method, line, message", ERRORS)
def test_an_error_says_where_and_what(tmp_path, method, line, message):
    run = check(tmp_path, HEAD + method)
    assert run.returncode == 1
    assert "Thing.class.st:%d: " % line in run.stdout, run.stdout
    assert message in run.stdout


def test_all_errors_are_told_at_once(tmp_path):
    run = check(tmp_path, HEAD + "Thing >> a [\n ^ (\n]\n\n"
                "Thing >> b [\n ^ )\n]\n")
    assert "Thing>>a:" in run.stdout and "Thing>>b:" in run.stdout
    assert "2 errors" in run.stdout


def test_what_nobody_declares_or_implements_is_listed(tmp_path):
    run = check(tmp_path, HEAD + "Thing >> foo [\n    ^ Bar baz: a\n]\n")
    assert run.returncode == 0
    assert "undeclared Bar" in run.stdout
    assert "nobody implements #baz:" in run.stdout
