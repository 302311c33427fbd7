"""A place where tests make repositories, with the real git-annex and with shoal."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_GIT_CONFIG = """\
[user]
	name = Tess Ter
	email = tess@example.org
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
[annex "security"]
	allowed-ip-addresses = all
[gc]
	auto = 0
"""


def isolated_environment(home: Path) -> dict[str, str]:
    """Give environment variables that keep git and git-annex inside `home`."""
    config = home / ".gitconfig"
    config.write_text(_GIT_CONFIG)
    return {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@dataclass
class World:
    """A directory that holds the repositories of one test."""

    root: Path

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    def run(
        self, *words: str | Path, cwd: Path | None = None, check: bool = True, data: bytes = b""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program; its output is text. A failure shows both outputs."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd or self.root,
            input=data.decode("utf-8", "surrogateescape"),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )
        if check and done.returncode != 0:
            shown = " ".join(str(word) for word in words)
            raise AssertionError(f"{shown}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def git(self, repo: Path, *words: str | Path) -> str:
        """Run git in `repo`; give its standard output without the last newline."""
        return self.run("git", *words, cwd=repo).stdout.rstrip("\n")

    def annex(self, repo: Path, *words: str | Path) -> str:
        """Run the real git-annex in `repo`; give its standard output."""
        return self.run("git-annex", *words, cwd=repo).stdout

    def make(self, name: str, *, bare: bool = False) -> Path:
        """Make a repository and initialise it with the real git-annex."""
        repo = self.root / name
        self.run("git", "init", "-q", *(["--bare"] if bare else []), repo)
        self.annex(repo, "init", name)
        return repo

    def add(self, repo: Path, name: str, content: bytes) -> str:
        """Add a file with the real git-annex and commit it; give its key."""
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.annex(repo, "add", "--quiet", name)
        self.git(repo, "commit", "-q", "-m", f"add {name}")
        return self.annex(repo, "lookupkey", name).strip()
