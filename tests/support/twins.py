"""The same commands run by git-annex and by shoal, each in a copy of the same repositories.

The copies are at the same path one after the other, and clocks stand still, so what both
programs show and leave behind must be equal to the byte, but for what normalised() takes out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CLOCK = "1700000000"
_METER = re.compile(r"\n(?:\r[^\r\n]*)+\r(?=ok|failed|\()")
_EARLY_COMMIT = re.compile(r"\(recording state in git\.\.\.\)\n(?=.)", re.DOTALL)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_FREE_SPACE = re.compile(r"(available local disk space(?:\"?: ?\"?))[^\n\"(]*")
_GIT_NOISE = re.compile(r"^fatal: Not a valid object name .*\n", re.MULTILINE)
_WARNING = re.compile(r"^shoal: warning: .*\n", re.MULTILINE)
_CALL_STACK = re.compile(
    r"\n(?:HasCallStack backtrace|CallStack \(from HasCallStack\)):(?:\n  .*)*"
)


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    stdout: str
    stderr: str
    status: int


@dataclass
class Twins:
    """`template` is what both programs begin with; `place` is where they work."""

    template: Path
    place: Path
    known: set[str] = field(default_factory=set)  # UUIDs of the template

    def run(
        self, program: str, commands: Sequence[Command], cwd: str = "here"
    ) -> tuple[list[Outcome], dict[str, str]]:
        """Run commands in a fresh copy; give what each did, and what is left in the end."""
        if self.place.exists():
            _make_writable(self.place)
            shutil.rmtree(self.place)
        shutil.copytree(self.template, self.place, symlinks=True)
        for repository in self.place.glob("*/.git"):
            # Else git takes copied files for changed ones, and a filter may annex them.
            no_filter = ["-c", "filter.annex.process=", "-c", "filter.annex.clean="]
            _git(repository.parent, *no_filter, "update-index", "-q", "--refresh")
        outcomes = [self._run_one(program, command, cwd) for command in commands]
        return outcomes, state_of(self.place)

    def _run_one(self, program: str, command: Command, cwd: str) -> Outcome:
        if command.words[0] == "!":
            subprocess.run(
                ["sh", "-c", command.words[1]], cwd=self.place / cwd, check=True, env=_environment()
            )
            return Outcome("", "", 0)
        done = subprocess.run(
            [program, *command.words],
            cwd=self.place / command.cwd if command.cwd else self.place / cwd,
            input=command.data.encode(),
            capture_output=True,
            env=_environment(),
            timeout=120,
            check=False,
        )
        shown = self.normalised(done.stdout.decode("utf-8", "surrogateescape"))
        if any(word.startswith("-J") for word in command.words):
            shown = "\n".join(sorted(shown.split("\n")))  # what is done first is left to chance
        errors = self.normalised(done.stderr.decode("utf-8", "surrogateescape"), errors=True)
        return Outcome(shown, errors, done.returncode)

    def normalised(self, text: str, *, errors: bool = False) -> str:
        """Take out what may differ: the program's name, progress, free disk space, usage
        texts, call stacks, warnings about expressions, and UUIDs that were made up."""
        text = _METER.sub("", text)
        text = _EARLY_COMMIT.sub("", text)
        text = _FREE_SPACE.sub(r"\1SPACE", text)
        text = _UUID.sub(lambda found: found[0] if found[0] in self.known else "NEW-UUID", text)
        if errors:
            text = _CALL_STACK.sub("", text)
            text = _GIT_NOISE.sub("", text)
            text = _WARNING.sub("", text)
            text = re.sub(r"^(git-annex|shoal): ", "", text, flags=re.MULTILINE)
            text = text.split("\n\nUsage: ")[0]
            text = re.sub(r"First run: (git-annex|shoal) init", "First run: init", text)
            text = re.sub(r"\n+", "\n", text).strip("\n")
        else:
            text = re.sub(r'"(git-annex|shoal): ', '"', text)
        return text


@dataclass(frozen=True)
class Command:
    """One command line, what it reads, and where it runs; `!` runs its second word in sh."""

    words: tuple[str, ...]
    data: str = ""
    cwd: str = ""


def state_of(place: Path) -> dict[str, str]:
    """Give all that matters of the repositories in `place`: the git-annex branch with the
    journal, contents, the work tree, the git index and git config."""
    state: dict[str, str] = {}
    for repository in sorted(place.iterdir()):
        if not (repository / "HEAD").exists() and not (repository / ".git").exists():
            continue
        git_dir = repository / ".git" if (repository / ".git").exists() else repository
        name = repository.name
        state |= {f"{name}:branch:{k}": v for k, v in _branch(repository, git_dir).items()}
        state |= {f"{name}:object:{p}": "" for p in _objects(git_dir)}
        state[f"{name}:index"] = _git(repository, "ls-files", "-s") if git_dir != repository else ""
        state[f"{name}:config"] = _git(repository, "config", "--local", "--list")
        if git_dir != repository:
            state |= {f"{name}:file:{k}": v for k, v in _files(repository).items()}
    return state


def _branch(repository: Path, git_dir: Path) -> dict[str, str]:
    listed = _git(repository, "ls-tree", "-r", "-z", "--name-only", "git-annex").split("\0")
    found = {
        path: _git(repository, "cat-file", "blob", f"git-annex:{path}") for path in listed if path
    }
    for entry in (git_dir / "annex/journal").glob("*"):
        path = re.sub(r"__|_", lambda m: "_" if m[0] == "__" else "/", entry.name)
        found[path] = entry.read_text(errors="surrogateescape")
    return found


def _objects(git_dir: Path) -> list[str]:
    objects = git_dir / "annex/objects"
    return sorted(
        path.name for path in objects.rglob("*") if path.is_file() and path.name == path.parent.name
    )


def _files(top: Path) -> dict[str, str]:
    found = {}
    for path in top.rglob("*"):
        if ".git" in path.relative_to(top).parts:
            continue
        if path.is_symlink():
            found[str(path.relative_to(top))] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[str(path.relative_to(top))] = path.read_bytes()[:200].decode("latin-1")
    return found


def _git(repository: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=repository, capture_output=True, encoding="utf-8",
        errors="surrogateescape", check=False,
    )  # fmt: skip
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "GIT_ANNEX_VECTOR_CLOCK": _CLOCK, "GIT_ADVICE": "0"}


def _make_writable(top: Path) -> None:
    for directory, _, _ in os.walk(top):
        os.chmod(directory, 0o755)
