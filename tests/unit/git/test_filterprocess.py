"""git's filter protocol: what is read and written, and what git gets wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shoal.git.filterprocess import FilterProtocolError, Packets, serve
from shoal.git.pointers import format_pointer
from shoal.git.smudge import Smudger
from tests.support.annexrepo import key_of, make_annex

HELLO = b"0016git-filter-client\n000eversion=2\n0000"
OFFER = b"0015capability=clean\n0016capability=smudge\n0015capability=delay\n0000"
WELCOME = b"0016git-filter-server\n000eversion=2\n0000"
ACCEPTED = b"0015capability=clean\n0016capability=smudge\n0000"


def _packet(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def _serve(tmp_path: Path, requests: bytes, **config: str) -> tuple[bytes, list[str]]:
    """Give what is answered after the handshake, and warnings."""
    settings = {name.replace("_", "."): value for name, value in config.items()}
    repository = make_annex(tmp_path / "repo", config=settings)
    target = io.BytesIO()
    warnings: list[str] = []
    smudger = Smudger(repository)
    try:
        serve(smudger, io.BytesIO(HELLO + OFFER + requests), target, warnings.append)
    finally:
        smudger.close()
    answer = target.getvalue()
    assert answer.startswith(WELCOME + ACCEPTED)
    return answer.removeprefix(WELCOME + ACCEPTED), warnings


def test_a_plain_file_passes_through(tmp_path: Path) -> None:
    """In packets of the largest size."""
    content = b"x" * 70_000
    request = _packet(b"command=clean\n") + _packet(b"pathname=file\n") + b"0000"
    data = _packet(content[:65_000]) + _packet(content[65_000:]) + b"0000"
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "file").write_bytes(content)
    answer, warnings = _serve(tmp_path, request + data)
    parts = _packet(content[:65_516]) + _packet(content[65_516:])
    assert answer == _packet(b"status=success\n") + b"0000" + parts + b"0000" + b"0000"
    assert warnings == []


def test_a_large_file_becomes_a_pointer(tmp_path: Path) -> None:
    """What git sends is read to its end, and not kept."""
    content = b"y" * 200_000
    request = _packet(b"command=clean\n") + _packet(b"pathname=file\n") + b"0000"
    data = b"".join(_packet(content[i : i + 50_000]) for i in range(0, 200_000, 50_000))
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "file").write_bytes(content)
    answer, _ = _serve(tmp_path, request + data + b"0000", annex_largefiles="anything")
    pointer = format_pointer(key_of(content, extension=b""))
    assert answer == _packet(b"status=success\n") + b"0000" + _packet(pointer) + b"00000000"


def test_a_failure_is_an_answer(tmp_path: Path) -> None:
    """And the next file is filtered."""
    request = _packet(b"command=clean\n") + _packet(b"pathname=file\n") + b"0000"
    data = _packet(b"z") + b"0000"
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "file").write_bytes(b"z")
    answer, warnings = _serve(tmp_path, (request + data) * 2, annex_largefiles="gibberish")
    assert answer == (_packet(b"status=error\n") + b"0000") * 2
    assert len(warnings) == 2


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    """Its content is read all the same."""
    request = _packet(b"command=polish\n") + _packet(b"pathname=file\n") + b"0000"
    answer, _ = _serve(tmp_path, request + _packet(b"data") + b"0000")
    assert answer == _packet(b"status=error\n") + b"0000"


@pytest.mark.parametrize(
    "data",
    [b"zzzz", b"0003", b"0001", b"0010short", b"00", b"0016git-filter-client\n000eversion=3\n0000"],
)
def test_what_is_not_the_protocol_ends_it(tmp_path: Path, data: bytes) -> None:
    """With a clear error, or as the end of the stream."""
    repository = make_annex(tmp_path / "repo")
    smudger = Smudger(repository)
    with pytest.raises(FilterProtocolError):
        serve(smudger, io.BytesIO(data), io.BytesIO(), lambda _: None)
    smudger.close()


def test_packets_are_read_however_they_come() -> None:
    """Empty packets, too."""
    packets = Packets(io.BytesIO(b"0004" + b"0005x" + b"0000"), io.BytesIO())
    assert list(packets.read_list()) == [b"", b"x"]
    with pytest.raises(EOFError):
        packets.read()
