"""The git hooks, filter and attributes of an initialised repository.

The files are those of the real program, byte for byte, and call `git annex …`; so whichever
program initialises a repository second finds nothing to change. Where git-annex is not
installed, the alias `annex = !shoal` in the repository's configuration makes git run
shoal instead; git tries an installed git-annex before it looks at aliases, so the alias does
no harm when git-annex comes later. (Checked with git 2.39 and git-annex 10.20261026.)

A hook that called a command which neither program has would make every commit fail. So
without git-annex only the hooks of commands that shoal has are written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.git.othertmp import write_file

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_HEAD = "#!/bin/sh\n# automatically configured by git-annex\n"
_ATTRIBUTES = b"\n* filter=annex\n"


@dataclass(frozen=True, slots=True)
class HookFile:
    """A git hook, the command it calls, and whether a bare repository has it too."""

    name: str
    command: str
    script: str
    in_bare: bool = False
    old_scripts: tuple[str, ...] = ()  # may be replaced


def _only_if_known(command: str) -> str:
    return f"if git annex {command} --help >/dev/null 2>&1; then git annex {command}; fi\n"


HOOKS = (
    HookFile("pre-commit", "pre-commit", f"{_HEAD}git annex pre-commit .\n"),
    HookFile(
        "post-receive",
        "post-receive",
        _HEAD + _only_if_known("post-receive"),
        old_scripts=(f"{_HEAD}git annex post-receive\n",),
    ),
    HookFile("post-checkout", "smudge", f"{_HEAD}git annex smudge --update\n"),
    HookFile("post-merge", "smudge", f"{_HEAD}git annex smudge --update\n"),
    HookFile("pre-push", "pre-push", _HEAD + _only_if_known("pre-push"), in_bare=True),
)


def install(repository: Repository, own_commands: Collection[str]) -> list[str]:
    """Write hooks, filter and attributes; give warnings about what was left alone.

    `own_commands` are the commands of shoal that may be called where git-annex is missing.
    """
    usable: Collection[str] | None = None
    if shutil.which("git-annex") is None:
        usable = own_commands
        if usable and repository.config.get("alias.annex") is None:
            repository.config.set("alias.annex", "!shoal")
    warnings = []
    for hook in HOOKS:
        if (hook.in_bare or not repository.is_bare) and (usable is None or hook.command in usable):
            warnings += _write_hook(repository, hook)
    if not repository.is_bare and repository.config.get_bool("annex.supportunlocked", True):
        if usable is None:
            _configure_filter(repository, "git-annex")
        elif {"smudge", "filter-process"} <= set(usable):
            _configure_filter(repository, "git annex")
    return warnings


def _write_hook(repository: Repository, hook: HookFile) -> list[str]:
    path = os.path.join(repository.common_dir, "hooks", hook.name)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            present = file.read()
    except FileNotFoundError:
        present = None
    if present == hook.script:
        return []
    if present is not None and present not in hook.old_scripts:
        return [f"{hook.name} hook ({path}) already exists, not configuring"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.{os.getpid()}.tmp"
    with open(new, "w", encoding="utf-8") as file:
        file.write(hook.script)
    os.chmod(new, os.stat(new).st_mode | 0o111)
    os.rename(new, path)
    return []


def _configure_filter(repository: Repository, program: str) -> None:
    """Have git ask `program` what to store for a file, and what to write to the work tree."""
    # git must know the files as they are before there is a filter, or it would filter all
    # of them at its next look.
    repository.git.ask("status", "--porcelain", "--ignore-submodules")
    for key, command in (
        ("smudge", "smudge -- %f"),
        ("clean", "smudge --clean -- %f"),
        ("process", "filter-process"),
    ):
        if repository.config.get(f"filter.annex.{key}") != f"{program} {command}":
            repository.config.set(f"filter.annex.{key}", f"{program} {command}")
    attributes = os.path.join(repository.common_dir, "info", "attributes")
    here = _read(attributes)
    assert repository.work_tree is not None
    if b"filter=annex" in here + _read(os.path.join(repository.work_tree, ".gitattributes")):
        return
    os.makedirs(os.path.dirname(attributes), exist_ok=True)
    write_file(repository.permissions, attributes, here + _ATTRIBUTES)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
