"""Letting git use shoal's filters in a test's repository."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.annexrepo import git

_TOP = Path(__file__).parent.parent.parent


def use_filters(work: Path, monkeypatch: pytest.MonkeyPatch, *, one_by_one: bool = False) -> None:
    """Have git run shoal's filters: one process for all files, or one for each."""
    path = os.pathsep.join([str(_TOP), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    process = f"{sys.executable} -m tests.support.filter_process"
    if one_by_one:
        git(work, "config", "filter.annex.clean", f"{process} clean %f")
        git(work, "config", "filter.annex.smudge", f"{process} smudge %f")
    else:
        git(work, "config", "filter.annex.process", process)
    (work / ".git" / "info").mkdir(exist_ok=True)
    (work / ".git" / "info" / "attributes").write_text("* filter=annex\n")
