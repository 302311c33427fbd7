"""Pipes, as they are best used for much data."""

from __future__ import annotations

import os
from pathlib import Path

from shoal.transport.pipes import widen


def test_a_pipe_takes_more_at_once() -> None:
    read, write = os.pipe()
    try:
        os.set_blocking(write, False)
        widen(write)
        assert os.write(write, bytes(1 << 20)) > 1 << 16
    finally:
        os.close(read)
        os.close(write)


def test_a_file_stays_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        widen(file.fileno())
