"""The hook that keeps pushes from changing the configuration of clusters.

It is git's pre-receive hook, so that it sees every push: by path, over ssh and over HTTP. A hook
of the user's that is there already is kept beside it, with `.own` at the end of its name, and
still runs, after this one. Where shoal cannot be started, pushes are refused.
"""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from shoal.git.lockdown import is_locked, warnings_about

if TYPE_CHECKING:
    from shoal.git.repository import Repository

_NAME = "pre-receive"
_MARK = "# automatically configured by shoal (annex.cluster-lockdown)\n"
_SCRIPT = """\
#!/bin/sh
{mark}pushed=$(cat)
printf '%s\\n' "$pushed" | {shoal} pre-receive || exit 1
if test -x "$0.own"; then printf '%s\\n' "$pushed" | "$0.own"; fi
"""


def install(repository: Repository) -> list[str]:
    """Write the hook if configuration is to be locked; say what was done, and is wrong.

    Raises OSError when the hook cannot be written.
    """
    if not is_locked(repository):
        return []
    warnings = warnings_about(repository)
    found = repository.git.line("rev-parse", "--git-path", f"hooks/{_NAME}")
    path = os.path.join(repository.path, found)  # core.hooksPath counts
    script = _SCRIPT.format(mark=_MARK, shoal=shlex.quote(shutil.which("shoal") or "shoal"))
    present = _read(path)
    if present == script and os.access(path, os.X_OK):
        return warnings
    kept = []
    if present is not None and _MARK not in present:
        _keep(path)
        kept = [f"The {_NAME} hook that was there runs after shoal's, as {_NAME}.own."]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.{os.getpid()}.tmp"
    with open(new, "w", encoding="utf-8") as file:
        file.write(script)
    os.chmod(new, os.stat(new).st_mode | 0o111)
    os.rename(new, path)
    done = f"Installed the {_NAME} hook that keeps cluster configuration locked."
    return [*warnings, done, *kept]


def _keep(path: str) -> None:
    """Put the user's hook beside. Raises FileExistsError rather than lose another one."""
    os.link(path, f"{path}.own")


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None
