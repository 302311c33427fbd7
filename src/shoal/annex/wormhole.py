"""Exchanging a few bytes with somebody else by Magic Wormhole, each telling the other a code.

The program `wormhole` is run twice, to send a file and to receive one. Source: git-annex
10.20261026, which can be at the other end; code and application id are those that it uses.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Final

from shoal.errors import ShoalError

_PROGRAM: Final = ("wormhole", "--appid", "git-annex.branchable.com/p2p-setup")
_CODE: Final = re.compile(r"[0-9]+-[^\s-][^\s-]*-\S+")


class SendFailed(ShoalError):
    """What was to be sent was not fetched."""


class ReceiveFailed(ShoalError):
    """Nothing was received."""


def is_installed() -> bool:
    return shutil.which(_PROGRAM[0]) is not None


def read_code(text: str) -> str:
    """Read a code as somebody may have typed it, with blanks. Raises ValueError."""
    code = "-".join(text.split())
    if not _CODE.fullmatch(code):
        raise ValueError(f"{text} is no code")
    return code


def exchange(ours: bytes, ask: Callable[[str], str]) -> bytes:
    """Send `ours`, and give what the other sent. Blocks until both are done.

    `ask` is told the code that the other needs, and gives the other's. What it raises, ends the
    exchange. Raises SendFailed, ReceiveFailed.
    """
    # What is received may be readable for all, so that the directory must not be.
    with tempfile.TemporaryDirectory(prefix="pair") as directory:
        outgoing, incoming = os.path.join(directory, "send"), os.path.join(directory, "recv")
        with open(os.open(outgoing, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(ours)
        with _start("send", outgoing) as sender:
            try:
                theirs = ask(_code_of(sender))
                received = _receive(incoming, theirs)
                if sender.wait() != 0:
                    raise SendFailed("Failed sending data to pair.")
            finally:
                sender.kill()
    return received


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*_PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def _code_of(sender: subprocess.Popen[bytes]) -> str:
    """Wait for the code; whatever else is said does not matter."""
    output = sender.stdout
    for line in output or ():
        for word in line.decode("utf-8", "replace").split():
            if output is not None and _CODE.fullmatch(word):
                threading.Thread(target=_drain, args=(output,), daemon=True).start()
                return word
    raise SendFailed("Failed sending data to pair.")


def _drain(output: IO[bytes]) -> None:
    for _ in output:
        pass


def _receive(path: str, code: str) -> bytes:
    with _start("receive", "--accept-file", "--output-file", path) as receiver:
        try:
            receiver.communicate(f"{code}\n".encode())
        finally:
            receiver.kill()
    try:
        if receiver.returncode == 0:
            with open(path, "rb") as file:
                return file.read()
    except OSError:
        pass  # it was left out, whatever the exit code says
    raise ReceiveFailed("Failed receiving data from pair.")
