"""Writing many objects at once: blobs, and the trees that will hold them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from shoal.git.process import Git, GitError, scratch_file

_NO_REF = b"refs/shoal/never-made"


class BlobWriter:
    """Writes blobs through one `git fast-import`, into one pack when they are many.

    That is some twenty times faster than a loose object each, since git syncs each of those
    to the disk. The objects can be used when the `with` block has ended. `hash_name` is the
    repository's object format, sha1 or sha256.
    """

    def __init__(self, git: Git, hash_name: str) -> None:
        self._git = git
        self._hash_name = hash_name
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def write(self, content: bytes) -> str:
        """Write one blob; give its name."""
        self._send(b"blob\ndata %d\n%s\n" % (len(content), content))
        header = b"blob %d\0" % len(content)
        return hashlib.new(self._hash_name, header + content, usedforsecurity=False).hexdigest()

    def write_trees(self, base: str, files: Iterable[tuple[str, str | None]]) -> None:
        """Write the trees of commit `base` with other blobs at some paths (None: no file).

        Only the objects are wanted: git need not write them one by one afterwards. fast-import
        makes trees for a commit, and commits for a ref; so there is a ref that is dropped
        before it would be made.
        """
        self._send(
            b"commit %s\ncommitter shoal <> 0 +0000\ndata 0\nfrom %s\n" % (_NO_REF, base.encode())
        )
        for path, blob in files:
            name = _quoted(os.fsencode(path))
            self._send(b"M 100644 %s %s\n" % (blob.encode(), name) if blob else b"D %s\n" % name)
        self._send(b"reset %s\nfrom %s\n\n" % (_NO_REF, b"0" * len(base)))

    def _send(self, command: bytes) -> None:
        """Send a whole command in one write: if this process is killed, git most likely sees
        whole commands and then the end, and leaves no crash report behind."""
        if self._process is None:
            self._errors = scratch_file()  # closed by _finish()
            self._process = self._git.start(
                "fast-import",
                "--quiet",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
            )
        assert self._process.stdin is not None
        try:
            done = os.write(self._process.stdin.fileno(), command)
            while done < len(command):
                done += os.write(self._process.stdin.fileno(), command[done:])
        except BrokenPipeError:
            self._finish()
            raise GitError("fast-import", 0, "it ended early") from None

    def _finish(self) -> None:
        process, self._process = self._process, None
        errors, self._errors = self._errors, None
        if process is None or errors is None:
            return
        assert process.stdin is not None
        with errors:
            with suppress(BrokenPipeError):
                process.stdin.close()
            if process.wait() != 0:
                errors.seek(0)
                words = errors.read().decode("utf-8", "replace")
                raise GitError("fast-import", process.returncode, words)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and self._process is not None:
            self._process.kill()
            with suppress(GitError):
                self._finish()
        else:
            self._finish()


def _quoted(path: bytes) -> bytes:
    if not path.startswith(b'"'):
        return path
    return b'"' + path.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
