"""Repositories made with plain git, and files put on their git-annex branch directly."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from shoal.git.branch import Update
from shoal.git.repository import Repository

HERE = "11111111-1111-4111-8111-111111111111"
BRANCH = "refs/heads/git-annex"


def git(repo: Path, *words: str | Path, data: bytes = b"") -> str:
    """Run git in `repo`; give its output without the last newline."""
    command = ["git", "-C", str(repo), *map(str, words)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.decode()}")
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def make_repository(path: Path, *, bare: bool = True, uuid: str = HERE) -> Repository:
    """Make a repository that is configured as initialised, without a git-annex branch."""
    subprocess.run(["git", "init", "-q", *(["--bare"] if bare else []), path], check=True)
    git(path, "config", "annex.uuid", uuid)
    git(path, "config", "annex.version", "10")
    return Repository.open(path)


def put_on_branch(
    repo: Path,
    files: Mapping[str, str | bytes],
    *,
    ref: str = BRANCH,
    parents: tuple[str, ...] = (),
) -> str:
    """Commit exactly `files` to `ref`, with `parents` as parents; give the commit."""
    out = [b"reset %s\n" % ref.encode()]
    out.append(b"commit %s\ncommitter T <t@x> 1 +0000\ndata 4\ntest\n" % ref.encode())
    for number, parent in enumerate(parents):
        out.append(b"%s %s\n" % (b"merge" if number else b"from", parent.encode()))
    if parents:
        out.append(b"deleteall\n")
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        out.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    git(repo, "fast-import", "--quiet", "--force", data=b"".join(out))
    return git(repo, "rev-parse", ref)


def on_branch(repo: Path, ref: str = BRANCH) -> dict[str, str]:
    """Give the files of a commit on a git-annex branch."""
    listed = git(repo, "ls-tree", "-r", "-z", "--name-only", ref)
    return {path: git(repo, "show", f"{ref}:{path}") for path in listed.split("\0") if path}


def to(content: bytes) -> Update:
    """Give a change of a branch file to `content`."""
    return lambda old: content


def adding(line: bytes) -> Update:
    """Give a change of a branch file that appends `line`."""
    return lambda old: old + line
