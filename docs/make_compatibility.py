"""Write docs/compatibility.md: what of git-annex shoal has.

    make docs        (or, with both programs on the PATH: python docs/make_compatibility.py)

Commands and options are taken from the two programs' own --help, and a setting counts only when
its name is in the code, so that the page cannot claim what is not there. Notes, protocol messages
and branch files are in compatibility.json, by hand.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "compatibility.md"
SOURCE = HERE.parent / "src" / "shoal"
NOTES = json.loads((HERE / "compatibility.json").read_text())
_OPTION = re.compile(r"^ {2,4}(-.*?)(?: {2,}|$)")
_LONG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_SHORT = re.compile(r"(?<![\w-])-[A-Za-z0-9()]")
_COMMAND = re.compile(r"^ {2}([a-z][a-z0-9-]*) +([A-Za-z].*)")


@cache
def help_text(program: str, *command: str) -> str:
    """Give what a program says about itself or one of its commands."""
    words = [program, *command, "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def commands(program: str) -> dict[str, str]:
    """Give the commands that a program's help lists, with what they do."""
    found = (_COMMAND.match(line) for line in help_text(program).splitlines())
    return {match[1]: match[2] for match in found if match}


def options(program: str, command: str) -> frozenset[str]:
    """Give the options in a command's help: by long names, or by short ones without a long."""
    found: set[str] = set()
    for line in help_text(program, command).splitlines():
        if match := _OPTION.match(line):
            found |= set(_LONG.findall(match[1]) or _SHORT.findall(match[1]))
    return frozenset(found - {"--help"})


def strings_in_code() -> set[str]:
    """Give all string constants of the code, in lower case."""
    return {
        node.value.lower()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def command_rows(theirs: dict[str, str], ours: dict[str, str]) -> list[str]:
    """Give the table of commands, and of the options that many of them have."""
    here = [name for name in theirs if name in ours]
    with ThreadPoolExecutor(4) as pool:
        for program in ("git-annex", "shoal"):
            list(pool.map(help_text, [program] * len(here), here))
    common = frozenset.intersection(*(options("git-annex", name) for name in here))
    matching = frozenset.intersection(*(options("git-annex", n) for n in ("find", "get", "drop")))
    matching -= common
    have = frozenset.intersection(*(options("shoal", name) for name in here))
    have_matching = options("shoal", "find") & matching
    rows = ["| command | shoal | |", "|---|---|---|"]
    for name in sorted(theirs):
        if name not in ours:
            rows.append(f"| `{name}` | none | {theirs[name]} |")
            continue
        missing = options("git-annex", name) - common - options("shoal", name)
        takes_matching = bool(options("git-annex", name) & matching)
        if takes_matching and options("shoal", name) & matching:
            missing -= matching
        note = [NOTES["commands"][name]] if name in NOTES["commands"] else []
        if takes_matching and matching <= missing:
            missing -= matching
            note.append("without matching options")
            state = "partial"
        else:
            state = "partial" if missing or name in NOTES["partial commands"] else "full"
        note += [f"without {listed(missing)}"] if missing else []
        rows.append(f"| `{name}` | {state} | {'; '.join(note)} |")
    return [
        *rows,
        "",
        "### Options of every command",
        "",
        f"Here: {listed(common & have)}. Not here: {listed(common - have)}.",
        "",
        "### Matching options",
        "",
        f"Here: {listed(have_matching)}. Not here: {listed(matching - have_matching)}.",
    ]


def setting_rows() -> list[str]:
    known = strings_in_code()
    rows = ["| git config | shoal | |", "|---|---|---|"]
    for name in NOTES["settings"]:
        state, note = NOTES["setting notes"].get(name, ("", ""))
        bare = name.removeprefix("remote.<name>.").removesuffix("<name>").lower()
        used = bare in known or name.lower() in known
        rows.append(f"| `{name}` | {state or ('full' if used else 'none')} | {note} |")
    return rows


def table(section: str) -> list[str]:
    about = NOTES[section]
    lines = [about["introduction"], "", f"| {about['title']} | shoal | |", "|---|---|---|"]
    return lines + [
        f"| `{name}` | {state} | {note} |" for name, (state, note) in about["rows"].items()
    ]


def page() -> str:
    """Give the whole page."""
    theirs, ours = commands("git-annex"), commands("shoal")
    extra = sorted(ours.keys() - theirs.keys() - {"help"})
    number = len(theirs.keys() & ours.keys())
    lines = [NOTES["introduction"], "", "## Commands", ""]
    lines += [f"{number} of git-annex's {len(theirs)} commands are here.", ""]
    if extra:
        lines += [f"Not in git-annex: {listed(set(extra))}.", ""]
    lines += [*command_rows(theirs, ours), "", "## Settings", "", *setting_rows(), ""]
    for section in ("Protocol", "Branch files"):
        lines += [f"## {section}", "", *table(section), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
