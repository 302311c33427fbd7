"""Git attributes of work tree files, by a `git check-attr` process kept for many questions."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from shoal.git.process import Git, GitError

_UNSET = frozenset({b"unspecified", b"unset"})


class Attributes:
    """The values that .gitattributes and its likes give some attributes. Thread-safe.

    It sees the files as they are when it is first asked. close() it at the end.
    """

    def __init__(self, git: Git, names: Sequence[str]) -> None:
        self._git = git
        self._names = tuple(names)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def of(self, path: str) -> dict[str, str]:
        """Give the attributes that are set for `path` (from the work tree's top), by name.

        An attribute that is set without a value has the value "set".
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(os.fsencode(path) + b"\0")
                process.stdin.flush()
                found = {}
                for name in self._names:
                    _, _, value = (_read_field(process.stdout) for _ in range(3))
                    if value not in _UNSET:
                        found[name] = os.fsdecode(value)
            except (OSError, EOFError) as error:
                self._stop()
                raise GitError("check-attr", 1, str(error)) from error
            return found

    def close(self) -> None:
        """End the process. It is started again when it is needed again."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            words = ("check-attr", "-z", "--stdin", *self._names)
            self._process = self._git.start(
                *words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


def _read_field(stream: IO[bytes]) -> bytes:
    """Read up to the next NUL. Raises EOFError when there is none."""
    field = bytearray()
    while (byte := stream.read(1)) != b"\0":
        if not byte:
            raise EOFError("git check-attr ended")
        field += byte
    return bytes(field)
