"""The demonstration works, again and again, and goes away when it is told to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "demo" / "demo.py"


def _run(place: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(DEMO), *words],
        env={**os.environ, "SHOAL_DEMO_DIR": str(place)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "demo"
    yield place
    _run(place, "--clean")


def test_it_runs_twice_leaves_its_server_and_cleans_up(place: Path) -> None:
    first = _run(place)
    said = _run(place)
    for output in (first, said):
        assert "files are back, and their checksums are right" in output
        assert "whereis film.bin (2 copies)" in output
        assert "24 files of library/ are no longer here" in output
        seconds = re.search(r"This took (\d+) seconds", output)
        assert seconds is not None
        assert int(seconds[1]) < 120
    addresses = [re.search(r"http://[0-9.:]+/git-annex/", out) for out in (first, said)]
    assert addresses[0] is not None
    assert addresses[1] is not None
    assert _status(addresses[1][0]) == 404
    with pytest.raises(urllib.error.URLError):
        _status(addresses[0][0])  # the server of the first run has ended
    _run(place, "--clean")
    assert not place.exists()
    with pytest.raises(urllib.error.URLError):
        _status(addresses[1][0])
