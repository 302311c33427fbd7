"""A whole network as one repository knows it: written down without running git-annex.

What is on the git-annex branch is enough for both programs to say what every repository of
the network wants, so a network costs two runs of `git fast-import` and one checkout.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shoal.git.repository import Repository
from shoal.values.key import Key
from shoal.values.keypath import key_file
from shoal.values.uuid import UUID
from tests.support.annexrepo import git, make_annex


@dataclass(frozen=True, slots=True)
class Network:
    """`branch` has the files of the git-annex branch, `files` the annexed files of the work
    tree, and `contents` the keys whose content is in this repository, `here`."""

    here: UUID
    repositories: tuple[UUID, ...]
    branch: Mapping[str, bytes]
    files: Mapping[str, Key]
    contents: frozenset[Key]
    attributes: str
    config: Mapping[str, str]

    def make(self, path: Path) -> Repository:
        """Make the repository and open it."""
        config = {"core.quotePath": "false", **self.config}
        repository = make_annex(path, uuid=self.here, config=config)
        tree = {name: _link(name, key) for name, key in self.files.items()}
        plain = {".gitattributes": self.attributes.encode()}
        _import(path, "git-annex", {}, self.branch)
        _import(path, "main", tree, plain)
        git(path, "symbolic-ref", "HEAD", "refs/heads/main")
        git(path, "reset", "-q", "--hard")
        for key in self.contents:
            content = Path(repository.objects.location(key))
            content.parent.mkdir(parents=True, exist_ok=True)
            content.write_bytes(b"")
        return repository

    def about(self, repo: UUID) -> str:
        """Give the lines of the git-annex branch that speak of a repository, and what is
        configured for all."""
        shown = []
        for path, log in sorted(self.branch.items()):
            everybodys = path in ("group-preferred-content.log", "group.log", "numcopies.log")
            if "/" not in path:
                lines = log.decode("utf-8", "surrogateescape").splitlines()
                shown += [f"{path}: {line}" for line in lines if everybodys or repo in line]
        return "\n".join([*shown, f"attributes: {self.attributes!r}", f"config: {self.config}"])


def _link(name: str, key: Key) -> bytes:
    up = "../" * name.count("/")
    return f"{up}.git/annex/objects/x/y/{key_file(key)}/{key_file(key)}".encode(
        "utf-8", "surrogateescape"
    )


def _import(
    path: Path, branch: str, links: Mapping[str, bytes], plain: Mapping[str, bytes]
) -> None:
    start = f"commit refs/heads/{branch}\ncommitter T <t@x> 1700000000 +0000\ndata 1\nx\n"
    out = [start.encode()]
    for mode, contents in ((b"120000", links), (b"100644", plain)):
        for name, content in contents.items():
            raw = name.encode("utf-8", "surrogateescape")
            escaped = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
            out.append(b'M %s inline "%s"\ndata %d\n' % (mode, escaped, len(content)))
            out.append(content + b"\n")
    subprocess.run(
        ["git", "-C", str(path), "fast-import", "--quiet"],
        input=b"".join(out),
        capture_output=True,
        check=True,
    )
