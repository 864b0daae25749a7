"""What every system test needs: the built files, the third-party images."""
import os
import shutil
import subprocess

import pytest

from machine import BUILD, TOP

IMAGES = os.path.join(os.path.dirname(TOP), "shared", "images")
PHARO = os.path.join(IMAGES, "empharo-Pharo8-spur64.image")
CUIS = os.path.join(IMAGES, "cuis5-64")


def built(name):
    path = os.path.join(BUILD, name)
    assert os.path.exists(path), path + " is not built"
    return path


def disk_copy(name, path):
    """A copy of a built disk, its holes kept; answers its path."""
    subprocess.run(["cp", "--sparse=always", built(name), path], check=True)
    return path


@pytest.fixture
def tmp_path(tmp_path):
    """A folder that goes with its test: hundreds of disks fill any disk."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def image(tmp_path):
    """A fresh copy of our image, to be written to."""
    return shutil.copy(built("aerostat.image"), tmp_path / "aerostat.image")


@pytest.fixture
def pharo(tmp_path):
    if not os.path.exists(PHARO):
        pytest.skip("skipped: the third-party images are not here")
    return shutil.copy(PHARO, tmp_path / "pharo.image")


@pytest.fixture
def cuis(tmp_path):
    if not os.path.exists(CUIS):
        pytest.skip("skipped: the third-party images are not here")
    shutil.copytree(CUIS, tmp_path / "cuis")
    return tmp_path / "cuis" / "Cuis5.0-3121-64.image"


def hosted(*args, cwd=None, timeout=300, vm="aerostat"):
    """Runs the hosted VM without a window; answers the finished process."""
    return subprocess.run(
        [os.path.join(BUILD, vm), "--headless", *map(str, args)],
        cwd=cwd, timeout=timeout, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        errors="replace")


# -- a table of machines, printed at the end of the run --

@pytest.fixture
def table(record_property):
    """Call it with the cells of a row; the last row counts."""
    return lambda *cells: record_property("row", cells)


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in ("passed", "failed")
               for report in terminalreporter.stats.get(kind, [])
               if report.when == "call" and
               "row" in dict(report.user_properties)]
    if not reports:
        return
    rows = [dict(report.user_properties)["row"]
            for report in sorted(reports, key=lambda r: r.nodeid)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        terminalreporter.write_line("| %s |" % " | ".join(
            cell.ljust(width) for cell, width in zip(row, widths)))
