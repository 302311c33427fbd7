"""Attributes are those that git sees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from shoal.git.attributes import Attributes
from shoal.git.process import Git


def test_attributes(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    odd = os.fsdecode(b"d/\xff\n.x")
    (tmp_path / ".gitattributes").write_text("*.x annex.numcopies=3\n*.y annex.numcopies -filter\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/.gitattributes").write_text("*.x annex.mincopies=2\n")
    git = Git(str(tmp_path / ".git"), str(tmp_path))
    names = ["annex.numcopies", "annex.mincopies", "filter"]
    with Attributes(git, names) as attributes:
        assert [attributes.of(path) for path in ("a", "a.x", "d/a.x", "a.y", odd)] == [
            {},
            {"annex.numcopies": "3"},
            {"annex.numcopies": "3", "annex.mincopies": "2"},
            {"annex.numcopies": "set"},
            {"annex.numcopies": "3", "annex.mincopies": "2"},
        ]
        attributes.close()
        assert attributes.of("a.x") == {"annex.numcopies": "3"}
