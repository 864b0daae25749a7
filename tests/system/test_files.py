"""Files and the serial line's loop on the machine: what fails says why, and
what was saved from the loop goes on in it once."""
import re
import subprocess

from conftest import built, disk_copy
from machine import Machine, blank, pvh


def with_disk(tmp_path):
    disk = disk_copy("blank-disk.img", tmp_path / "disk.img")
    return ["-drive", "file=%s,format=raw,if=none,id=d" % disk,
            "-device", "virtio-blk-pci,drive=d"]


def error_of(m, expression):
    return m.ask("[%s] on: Error do: [:e | e description]" % expression)


def test_without_a_volume_file_errors_say_so():
    missing = "(this machine has no volume for files)"
    with Machine(pvh(built("aerostat.image"), "repl"), name="no-volume") as m:
        m.prompt()
        assert missing in error_of(m, "'x.txt' asFileReference readStream")
        assert missing in error_of(m, "'x.txt' asFileReference writeStream")
        assert missing in error_of(m, "'d' asFileReference createDirectory")
        assert m.ask("FileSystem isAvailable") == "false"
        # Changes cannot be logged: told once, with the place, no error.
        m.ask("ChangeLog default enable")
        told = m.ask("Object compile: 'unlogged ^ 1'. Transcript flush. 1")
        assert "changes are not logged: " in told
        assert "/aerostat.changes " + missing in told
        assert m.ask("Object compile: 'unlogged ^ 2'. 1") == "1"
        assert m.ask("Object new unlogged") == "2"


def test_an_open_file_is_not_deleted_and_says_why(tmp_path):
    with Machine(pvh(built("aerostat.image"), "repl") + with_disk(tmp_path),
                 name="open-file") as m:
        m.prompt()
        m.ask("s := 'x.txt' asFileReference writeStream. s nextPutAll: 'a'; "
              "flush. 1")
        assert "/x.txt (it is open)" in error_of(
            m, "'/x.txt' asFileReference delete")
        assert "(it is open)" in error_of(
            m, "'/x.txt' asFileReference moveTo: '/y.txt' asFileReference")
        m.ask("s close. '/x.txt' asFileReference delete. 1")
        assert m.ask("'/x.txt' asFileReference exists") == "false"
        # What failed before is not blamed for something else.
        assert "(it is open)" not in error_of(
            m, "'/x.txt' asFileReference readStream")


def test_a_full_volume_says_so(tmp_path):
    disk = with_disk(tmp_path)
    blank(tmp_path / "filler", 62)
    subprocess.run(["mcopy", "-i", "%s@@1M" % (tmp_path / "disk.img"),
                    str(tmp_path / "filler"), "::/"], check=True)
    with Machine(pvh(built("aerostat.image"), "repl") + disk,
                 name="full-volume") as m:
        m.prompt()
        assert "(the disk is full)" in error_of(
            m, "'big' asFileReference binaryWriteStreamDo: [:s | 3 "
            "timesRepeat: [s nextPutAll: (ByteArray new: 1000000)]]")


def test_a_save_from_the_serial_line_goes_on_in_one_loop(tmp_path):
    args = pvh(built("aerostat.image")) + with_disk(tmp_path)
    with Machine(args, name="loop-before") as m:
        m.prompt()
        m.ask("x := 42")
        assert m.ask("Smalltalk snapshot: true andQuit: false") == "false"
    with Machine(args, name="loop-after") as m:
        m.expect(r"desktop: [^\n]*\n")
        m.expect(r"true\r?\n.*aerostat> ")
        assert m.ask("3 + 4") == "7"
        assert m.ask("x") == "42"
        # The answer of the line that saved, then one prompt a line.
        text = re.sub(r"desktop: .*\n", "", m.text().replace("\r", ""))
        assert "\ntrue\naerostat> 7\naerostat> 42\naerostat> " in text
