"""What the git index says of single files, also while git is changing it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shoal.git.objectsettings import blob_algorithm
from shoal.git.pointers import MAX_POINTER, pointed_key
from shoal.git.process import GitError

if TYPE_CHECKING:
    from shoal.git.repository import Repository
    from shoal.values.key import Key

_FEW: Final = 3  # questions that are asked one by one; then the whole index is read
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file of the index: its blob's id, and the key that this is a pointer to, if any."""

    blob: bytes
    key: Key | None


class IndexLookup:
    """Answers from the index as it is when it is first asked. close() it at the end.

    That suits a filter: git does not write the index before its filters are done.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._asked = 0
        self._blobs: dict[bytes, bytes] | None = None
        self._sizes: subprocess.Popen[bytes] | None = None

    def find(self, path: str) -> Indexed | None:
        """Give what the index has for `path` (from the top); None: nothing, or a conflict."""
        name = self._blob_of(os.fsencode(path))
        if name is None:
            return None
        key = None
        if self._size_of(name) <= MAX_POINTER:
            found = self._repository.cat_file.read(name)
            key = None if found is None else pointed_key(found.content)
        return Indexed(bytes.fromhex(name.decode()), key)

    def is_blob(self, full: str, size: int, blob: bytes) -> bool:
        """Tell whether the file at `full`, of `size` bytes, is what git stores as `blob`."""
        if self._size_of(blob.hex().encode()) != size:
            return False
        hashing = hashlib.new(blob_algorithm(self._repository), usedforsecurity=False)
        hashing.update(b"blob %d\0" % size)
        with open(full, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                hashing.update(piece)
        return hashing.digest() == blob

    def close(self) -> None:
        """End the process that is asked for sizes."""
        process, self._sizes = self._sizes, None
        if process is not None:
            process.communicate()

    def _blob_of(self, path: bytes) -> bytes | None:
        self._asked += 1
        if self._blobs is None and self._asked > _FEW:
            self._blobs = self._list()
        if self._blobs is not None:
            return self._blobs.get(path)
        return self._list(os.fsdecode(path)).get(path)

    def _list(self, *paths: str) -> dict[bytes, bytes]:
        listed = self._repository.git.run("ls-files", "--stage", "-z", "--", *paths)
        blobs = {}
        for line in listed.split(b"\0"):
            meta, _, path = line.partition(b"\t")
            words = meta.split()
            if len(words) == 3 and words[2] == b"0":
                blobs[path] = words[1]
        return blobs

    def _size_of(self, name: bytes) -> int:
        if self._sizes is None:
            self._sizes = self._repository.git.start(
                "cat-file", "--batch-check=%(objectsize)", stdin=subprocess.PIPE
            )
        process = self._sizes
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(name + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        if not answer.isdigit():
            raise GitError("cat-file", 1, f"{name.decode()}: {answer.decode('utf-8', 'replace')}")
        return int(answer)
