"""The rooms of the package import each other in one direction only (see ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import shoal

_ROOT = Path(shoal.__file__).parent
_MAY_IMPORT = {
    "values": set(),
    "logs": {"values"},
    "preferred": {"values", "logs"},
    "p2p": {"values"},
    "p2phttp": {"values"},
    "db": {"values", "logs", "preferred"},
    "git": {"values", "logs", "preferred", "db"},
    "transport": {"values", "p2p", "p2phttp"},
    "remotes": {"values", "logs", "preferred", "p2p", "p2phttp", "git", "db", "transport"},
    "gateway": {"values", "logs", "preferred", "p2p", "p2phttp", "git", "db", "remotes"},
}
_MAY_IMPORT["annex"] = {*_MAY_IMPORT["remotes"], "remotes", "gateway"}
_MAY_IMPORT["server"] = {*_MAY_IMPORT["remotes"], "remotes", "gateway"}
_MAY_IMPORT["operations"] = {*_MAY_IMPORT["annex"], "annex"}
_MAY_IMPORT["cli"] = {*_MAY_IMPORT, "annex", "server", "operations"}
_IMPURE = {
    "asyncio", "aiohttp", "os", "random", "secrets", "socket", "subprocess", "threading", "time",
}  # fmt: skip
_PURE_ROOMS = {"values", "logs", "preferred", "p2p", "p2phttp"}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_rooms_import_only_what_is_below_them() -> None:
    wrong = []
    for path in _ROOT.rglob("*.py"):
        room = path.relative_to(_ROOT).parts[0]
        if room not in _MAY_IMPORT:
            continue
        for module in _imports(path):
            words = module.split(".")
            if words[0] != "shoal" or len(words) < 2 or words[1] in {room, "errors"}:
                continue
            if words[1] not in _MAY_IMPORT[room]:
                wrong.append(f"{path.relative_to(_ROOT)} imports {module}")
    assert wrong == []


def test_pure_rooms_do_no_input_or_output() -> None:
    wrong = [
        f"{path.relative_to(_ROOT)} imports {module}"
        for room in _PURE_ROOMS
        for path in (_ROOT / room).rglob("*.py")
        for module in _imports(path)
        if module.split(".")[0] in _IMPURE
    ]
    assert wrong == []


def test_every_room_is_in_the_table() -> None:
    rooms = {path.parent.name for path in _ROOT.glob("*/__init__.py")}
    assert rooms == set(_MAY_IMPORT)
