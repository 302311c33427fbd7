"""Ctrl-C ends a command without a word, and leaves nothing that is in the way."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.git.repository import Repository
from tests.support.annexrepo import THERE, git, key_of, make_annex

KEY = key_of(b"content")


class Silent:
    """A server that takes requests and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = self._socket.getsockname()[1]
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            if connection.recv(1):
                self.asked.set()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for connection in self._open:
            connection.close()


@pytest.fixture
def server() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.close()


@pytest.mark.parametrize("words", [["get", "--all"], ["get", "--all", "-J3"],
                                   ["move", "--from", "far", "--all"],
                                   ["drop", "--from", "far", "--all", "--force"]])  # fmt: skip
def test_ctrl_c(server: Silent, tmp_path: Path, words: list[str]) -> None:
    with make_annex(tmp_path / "here") as repository:
        top = tmp_path / "here"
        git(top, "config", "remote.far.url", f"annex+http://127.0.0.1:{server.port}/git-annex/")
        git(top, "config", "remote.far.annex-uuid", THERE)
        git(top, "config", "annex.security.allowed-ip-addresses", "all")
        repository.logs.set_location(KEY, THERE, True)
        repository.branch.commit()
    script = "import sys; from shoal.cli.main import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], cwd=top,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.asked.wait(120)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors == ""
    with Repository.open(top) as repository:
        assert THERE in repository.logs.locations(KEY)
        repository.objects.transfers.begin_download(KEY, THERE, "").end(failed=None)
        assert repository.objects.path(KEY) is None
