"""What holds for any pointer, packet, inode cache and index."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.git.filterprocess import FilterProtocolError, Packets
from shoal.git.gitindex import IndexUnreadable, iter_entries
from shoal.git.inodecache import InodeCache
from shoal.git.pointers import (
    MAX_POINTER,
    AppendedPointer,
    format_pointer,
    parse_pointer,
    pointed_key,
)
from shoal.git.transfers import TransferInfo, directory_name
from shoal.values.key import Key
from shoal.values.keypath import key_file
from shoal.values.uuid import UUID
from tests.support.annexrepo import git
from tests.support.strategies import hostile_bytes, keys, uuids

_PIECES = [b"/annex/objects/", b"/annex/", b"SHA256E-s5--abc", b"\n", b"\r", b"x", b"%", b"&", b"/"]


@given(keys)
def test_a_pointer_gives_its_key_back(key: Key) -> None:
    """Whatever bytes the key is made of, but for a last `\\r`, which is cut off."""
    if not key_file(key).endswith("\r"):
        assert parse_pointer(format_pointer(key)) == key


@given(st.lists(st.sampled_from(_PIECES), max_size=20).map(b"".join) | hostile_bytes)
def test_any_text_is_a_pointer_or_not(text: bytes) -> None:
    """Nothing else happens; what is a pointer is one with more lines of its kind, too."""
    with suppress(AppendedPointer):
        key = parse_pointer(text)
        assert pointed_key(text) == key
        if key is not None and text.endswith(b"\n") and len(text) < MAX_POINTER - 10:
            assert pointed_key(text + b"/annex/x\n") == key
            assert pointed_key(text + b"x\n") is None


@given(st.integers(0, 2**64), st.integers(0, 2**63), st.integers(0, 2**62))
def test_an_inode_cache_comes_back(inode: int, size: int, mtime: int) -> None:
    """From its text."""
    cache = InodeCache(inode, size, mtime)
    assert InodeCache.parse(str(cache)) == cache


@given(st.integers(0, 2**62), st.none() | st.integers(0, 2**63), st.text("ab /é%\n", max_size=20))
def test_transfer_information_comes_back(started: int, done: int | None, file: str) -> None:
    """From its file."""
    info = TransferInfo(started, done, file)
    assert TransferInfo.parse(bytes(info)) == info


@given(hostile_bytes)
def test_any_transfer_information_can_be_read(text: bytes) -> None:
    """Garbage reads as nothing known."""
    TransferInfo.parse(text)


@given(uuids)
def test_any_uuid_has_a_directory(uuid: UUID) -> None:
    """One plain name."""
    name = directory_name(uuid)
    assert name not in {"", ".", ".."}
    assert "/" not in name
    assert "\0" not in name
    assert len(os.fsencode(name)) <= 128


@given(st.lists(st.binary(max_size=100), max_size=10), st.binary(max_size=8))
def test_packets_come_back(packets: list[bytes], rest: bytes) -> None:
    """And what follows stays; any rest is packets, an end, or an error."""
    target = io.BytesIO()
    Packets(io.BytesIO(), target).write_list(*packets)
    reader = Packets(io.BytesIO(target.getvalue() + rest), io.BytesIO())
    assert list(reader.read_list()) == packets
    with suppress(EOFError, FilterProtocolError):
        while True:
            reader.read()


@given(st.binary(max_size=400), st.integers(0, 400), st.sampled_from([b"\0\0\0\2", b"\0\0\0\4"]))
def test_no_index_is_misread(data: bytes, count: int, version: bytes) -> None:
    """Garbage is refused; it never takes long, and never more entries than announced."""
    text = b"DIRC" + version + count.to_bytes(4, "big") + data
    with suppress(IndexUnreadable):
        assert len(list(iter_entries(text))) == count


_names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=12),
    min_size=1,
    max_size=3,
).map("/".join)


@settings(max_examples=25, deadline=None)
@given(st.lists(_names, min_size=1, max_size=12), st.sampled_from(["2", "4"]))
def test_the_index_is_read_as_git_reads_it(names: list[str], version: str) -> None:
    """With any names of files."""
    top = Path(os.environ["HOME"]) / "index"
    if not top.exists():
        top.mkdir()
        git(top, "init", "-q")
    (top / ".git" / "index").unlink(missing_ok=True)
    blob = git(top, "hash-object", "-w", "--stdin", data=b"x").strip()
    usable = [
        name
        for name in names
        if not any(part.lower() in {".", "..", ".git"} for part in name.split("/"))
    ]
    lines = b"".join(f"100644 {blob}\t{name}\0".encode() for name in usable)
    git(top, "update-index", "--index-version", version)
    git(top, "update-index", "-z", "--index-info", data=lines)
    listed = git(top, "ls-files", "--stage", "-z").split("\0")[:-1]
    found = [
        f"{entry.mode:06o} {entry.blob.hex()} {entry.stage}\t{os.fsdecode(entry.path)}"
        for entry in iter_entries((top / ".git" / "index").read_bytes())
    ]
    assert found == listed
