"""Sessions of shoal-shell that need an event loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.annexrepo import key_of, make_annex

SHELL = [sys.executable, "-c", "import sys; from shoal.cli.shell import main; sys.exit(main())"]


def _shell(repository: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*SHELL, "p2pstdio", repository, "client"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_an_upload_that_is_cut_off_is_given_up(tmp_path: Path) -> None:
    """Without a sign that the client has gone. What came is kept, and nothing is locked."""
    with make_annex(tmp_path / "annex") as annex:
        annex.config.set("shoal.client-stall-time", "0.2")
    content = b"0123456789" * 400_000
    key = key_of(content)
    words = f"VERSION 4\nPUT  {key}\nDATA {len(content)}\n".encode()
    with _shell(tmp_path / "annex") as cut:
        assert cut.stdin is not None
        assert cut.stderr is not None
        cut.stdin.write(words + content[:3_000_000])
        cut.stdin.flush()
        assert cut.wait(60) == 1  # and stdin is still open
        assert b"the client sent nothing for 0.2 seconds" in cut.stderr.read()
    with _shell(tmp_path / "annex") as again:
        said, _ = again.communicate(f"VERSION 4\nPUT  {key}\n".encode(), timeout=60)
        assert said.splitlines()[1:] == [b"VERSION 4", b"PUT-FROM 3000000"]
