"""Running the git binary: short commands, and `cat-file` processes kept for many questions.

No other module starts git. Names and contents are bytes; options and paths of the file
system are text (`surrogateescape`), as everywhere with `os`.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import IO

from shoal import debug
from shoal.errors import ShoalError
from shoal.git.waiting import about_to_wait
from shoal.values.record import record, replaced

_CHUNK = 1 << 16  # bytes
_OF_ANOTHER_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_CONFIG",
)
_SOURCE = "git.process"  # of what --debug shows
_NO_INDEX = "/nonexistent/index"  # a missing file is an empty index
_IN_FLIGHT = 4096  # bytes of questions sent before answers are read: less than any pipe holds


class GitError(ShoalError):
    """A git command failed. `status` is its exit code (negative: the signal), `stderr` its
    own words."""

    def __init__(self, command: str, status: int, stderr: str) -> None:
        words = stderr.strip().splitlines()
        cause = words[0].removeprefix("fatal: ").removeprefix("error: ") if words else ""
        super().__init__(f"git {command} failed: {cause or f'exit status {status}'}")
        self.command = command
        self.status = status
        self.stderr = stderr


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment without what points git to another repository, plus `extra`.

    Configuration given by `git -c` stays, since the user meant it for the whole command.
    """
    env = {k: v for k, v in os.environ.items() if k not in _OF_ANOTHER_REPOSITORY}
    return env | dict(extra or {})


@record
class Git:
    """Runs git commands in one repository. Thread-safe: it holds no process.

    `git_dir` None leaves it to git to find the repository, and to refuse one that it deems
    unsafe. `environment` is added to the (cleaned) environment of every command. Commands get
    the open files `inherited`: a lock among them is held until the last command ended, also
    when this process is killed before.
    """

    git_dir: str | None
    work_tree: str | None = None
    environment: Mapping[str, str] = MappingProxyType({})
    inherited: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()  # configuration for each command, as for `git -c`

    def with_settings(self, *settings: str) -> Git:
        """Give a runner for the same repository with configuration of its own."""
        return replaced(self, settings=(*self.settings, *settings))

    def with_environment(self, *inherited: int, **extra: str) -> Git:
        """Give a runner for the same repository with more in its environment."""
        files = (*self.inherited, *inherited)
        return replaced(self, environment={**self.environment, **extra}, inherited=files)

    def without_index(self) -> Git:
        """Give the same git for commands that compare trees: they read the index first, all of
        it, and use nothing of it."""
        return self.with_environment(GIT_INDEX_FILE=_NO_INDEX)

    def words(self, *args: str) -> list[str]:
        """Give the whole command line for the git command `args`."""
        command = ["git"]
        if self.git_dir is not None:
            command.append(f"--git-dir={self.git_dir}")
        if self.work_tree is not None:
            command.append(f"--work-tree={self.work_tree}")
        for setting in self.settings:
            command += ["-c", setting]
        return [*command, "--literal-pathspecs", *args]

    def start(
        self,
        *args: str,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.PIPE,
        stderr: int | IO[bytes] | None = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start a git command; whoever calls this must wait for it."""
        about_to_wait()
        words = self.words(*args)
        try:
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=self.work_tree,
                env=clean_environment(self.environment),
                pass_fds=self.inherited,
            )
        except OSError as error:
            raise GitError(args[0], 127, f"{error.strerror}: {error.filename}") from error
        if debug.is_shown(_SOURCE):
            debug.say(_SOURCE, f"[{process.pid}] {shlex.join(words)}")
        return process

    def run(self, *args: str, data: bytes = b"", ok: Sequence[int] = (0,)) -> bytes:
        """Run a command to its end with `data` as its input; give its standard output.

        Raises GitError when the exit status is not in `ok`.
        """
        status, out, err = self.ask(*args, data=data)
        if status not in ok:
            raise GitError(args[0], status, err)
        return out

    def ask(self, *args: str, data: bytes = b"") -> tuple[int, bytes, str]:
        """Run a command to its end; give exit status, standard output and standard error."""
        with self.start(*args, stdin=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(data)
            except BaseException:
                process.kill()
                raise
        return process.returncode, out, err.decode("utf-8", "replace")

    def line(self, *args: str, data: bytes = b"") -> str:
        """Run a command that answers one line; give it without its newline."""
        return self.run(*args, data=data).decode("utf-8", "surrogateescape").rstrip("\n")

    def feed(self, *args: str, lines: Iterable[bytes]) -> bytes:
        """Run a command that reads its whole input before it writes; give its output.

        `lines` are sent as they come, so they may be many. Raises GitError when it fails.
        """
        with scratch_file() as errors, scratch_file() as out:
            process = self.start(*args, stdin=subprocess.PIPE, stdout=out, stderr=errors)
            assert process.stdin is not None
            try:
                with contextlib.suppress(BrokenPipeError):  # its exit status says why
                    process.stdin.writelines(lines)
                    process.stdin.close()
            except BaseException:
                process.kill()
                raise
            finally:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait()
            if process.returncode != 0:
                raise GitError(args[0], process.returncode, _text_of(errors))
            out.seek(0)
            return out.read()

    @contextlib.contextmanager
    def reading(
        self, *args: str, stdin: IO[bytes] | int = subprocess.DEVNULL
    ) -> Iterator[IO[bytes]]:
        """Run a command and read its output as it comes.

        Leaving the block early ends the command; reading to the end raises GitError when the
        command failed.
        """
        with scratch_file() as errors:
            process = self.start(*args, stdin=stdin, stderr=errors)
            assert process.stdout is not None
            try:
                yield process.stdout
                at_end = process.stdout.read(1) == b""
            except BaseException:
                process.kill()
                raise
            finally:
                process.stdout.close()
                status = process.wait()
            if at_end and status != 0:
                raise GitError(args[0], status, _text_of(errors))


def entries_of(output: IO[bytes]) -> Iterator[bytes]:
    """Give what git ends with NUL each, as it comes."""
    rest = b""
    while chunk := output.read(_CHUNK):
        *entries, rest = (rest + chunk).split(b"\0")
        yield from entries


def scratch_file() -> IO[bytes]:
    """Give a nameless file to keep something for a while, in memory where that is possible."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("shoal"), "w+b")
    import tempfile  # slow to import

    return tempfile.TemporaryFile()


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


@record
class GitObject:
    """An object of the repository."""

    sha: str
    kind: str  # blob, tree, commit or tag
    content: bytes


class CatFile:
    """A `git cat-file --batch` process, started when first needed and kept.

    Thread-safe. When the process dies it is started again, once per question; a question
    that fails twice raises GitError.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._owner = 0  # process id: a forked child must not use its parent's pipes

    def read(self, name: bytes) -> GitObject | None:
        """Give the object that `name` (such as SHA or REF:PATH) stands for; None if there is
        none."""
        return next(iter(self.read_many([name])))

    def read_many(self, names: Sequence[bytes]) -> list[GitObject | None]:
        """Give the objects of all `names`, in that order; all of them in memory."""
        about_to_wait()
        found: list[GitObject | None] = []
        with self._lock:
            for batch in _batches(names):
                found += self._ask(batch)
        return found

    def close(self) -> None:
        """End the process. It is started again when it is needed again."""
        with self._lock:
            self._stop()

    def _ask(self, names: list[bytes]) -> list[GitObject | None]:
        for attempt in (1, 2):
            try:
                return self._exchange(names)
            except (OSError, EOFError):
                words = _text_of(self._errors) if self._errors else ""
                status = self._stop()
                if attempt == 2:
                    raise GitError("cat-file", status, words) from None
            except BaseException:
                self._stop()  # an answer may be half read: the pipe is of no more use
                raise
        raise AssertionError("unreachable")

    def _exchange(self, names: list[bytes]) -> list[GitObject | None]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(name + b"\n" for name in names))
        process.stdin.flush()
        return [read_object(process.stdout) for _ in names]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner != os.getpid():
            self._process = self._errors = None
        if self._process is None:
            self._errors = scratch_file()  # closed by _stop()
            self._process = self._git.start(
                "cat-file", "--batch", stdin=subprocess.PIPE, stderr=self._errors
            )
            self._owner = os.getpid()
        return self._process

    def _stop(self) -> int:
        process, self._process = self._process, None
        errors, self._errors = self._errors, None
        if errors is not None:
            errors.close()
        if process is None or self._owner != os.getpid():
            return 0
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            return process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _batches(names: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Cut `names` so that the questions of a batch fit into a pipe."""
    batch: list[bytes] = []
    size = 0
    for name in names:
        if b"\n" in name:
            raise ValueError(f"a git object name with a newline: {name!r}")
        if batch and size + len(name) + 1 > _IN_FLIGHT:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += len(name) + 1
    if batch:
        yield batch


def read_object(stream: IO[bytes]) -> GitObject | None:
    """Read one answer of `cat-file --batch`. Raises EOFError when it breaks off."""
    header = stream.readline()
    if not header.endswith(b"\n"):
        raise EOFError("git cat-file ended")
    words = header.split()
    if header.endswith((b" missing\n", b" ambiguous\n")) or len(words) != 3:
        return None
    size = int(words[2])
    content = stream.read(size + 1)
    if len(content) != size + 1:
        raise EOFError("git cat-file ended")
    return GitObject(words[0].decode(), words[1].decode(), content[:-1])
