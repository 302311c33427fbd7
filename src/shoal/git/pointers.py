"""Pointer files: how a work tree file or a git blob says which key's content it stands for.

A locked file is a symlink to the object. An unlocked file is, for git, a small text with the
key; in the work tree it is that text, or the content.

Source: on-disk behaviour of git-annex 10.20261026 (golden vectors in
tests/fixtures/on-disk/pointers.json).
"""

from __future__ import annotations

import errno
import hashlib
import os

from shoal.values.key import Key
from shoal.values.keypath import key_file, parse_key_file

MAX_POINTER = 32768  # bytes; a longer file is no pointer
MAX_SYMLINK = 8191  # bytes of a symlink's target
_MARK = b"/annex/objects/"
_LINE_MARK = b"/annex/"


class AppendedPointer(ValueError):
    """A pointer file that something else was appended to: neither pointer nor content."""


def format_pointer(key: Key) -> bytes:
    """Give the text of a pointer file."""
    return _MARK + os.fsencode(key_file(key)) + b"\n"


def parse_pointer(text: bytes) -> Key | None:
    """Read a pointer file (its first MAX_POINTER + 1 bytes suffice) or a symlink's target.

    Gives None when it is neither. Raises AppendedPointer when the first line is a pointer and
    the rest is not what may follow.
    """
    first, _, rest = text.partition(b"\n")
    first = first.removesuffix(b"\r")
    if _MARK not in first:
        return None
    try:
        key = parse_key_file(first.rpartition(b"/")[2])
    except ValueError:
        return None
    if len(text) > MAX_POINTER or not _may_follow(rest):
        raise AppendedPointer(f"other content is appended to the pointer of {key}")
    return key


def _may_follow(rest: bytes) -> bool:
    if not rest:
        return True
    return rest.endswith(b"\n") and all(_LINE_MARK in line for line in rest[:-1].split(b"\n"))


def pointed_key(text: bytes) -> Key | None:
    """Like parse_pointer, but a pointer with something appended is just no pointer."""
    try:
        return parse_pointer(text)
    except AppendedPointer:
        return None


def read_pointer(path: str) -> Key | None:
    """Give the key that the pointer file `path` is for; None when it is anything else.

    A symlink is not followed: it is no pointer file. A missing file is no pointer file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.ENXIO}:
            return None
        raise
    try:
        return pointed_key(_read_at_most(fd, MAX_POINTER + 1))
    except IsADirectoryError:
        return None
    finally:
        os.close(fd)


def _read_at_most(fd: int, size: int) -> bytes:
    text = b""
    while len(text) < size and (more := os.read(fd, size - len(text))):
        text += more
    return text


def linked_key(path: str) -> Key | None:
    """Give the key of the locked file (symlink) `path`; None when it is anything else."""
    try:
        target = os.fsencode(os.readlink(path))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.EINVAL, errno.ENOTDIR, errno.EACCES}:
            return None
        raise
    return pointed_key(target) if len(target) <= MAX_SYMLINK else None


def link_target(file: str, object_path: str) -> str:
    """Give what the symlink at `file` holds to lead to `object_path` (both absolute)."""
    return os.path.relpath(object_path, os.path.dirname(file))


def blob_id(content: bytes, algorithm: str = "sha1") -> bytes:
    """Give the binary id that git gives to a blob of this content."""
    header = b"blob %d\0" % len(content)
    return hashlib.new(algorithm, header + content, usedforsecurity=False).digest()
