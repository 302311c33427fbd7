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
_SETTING = re.compile(r"annex(?:url|[.-][a-z0-9.-]+)")
_NO_MATCHING = frozenset({"--all", "--branch", "--failed", "--key", "--unused", "-z"})
_NO_MATCHING_TOO = ("--batch", "--json")
_COMMAND = re.compile(r"^ {2}([a-z][a-z0-9-]*) +([A-Za-z].*)")


@cache
def help_text(program: str, *command: str) -> str:
    """Give what a program says about itself or one of its commands."""
    words = [program, *command, "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


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


def names_in_code() -> set[str]:
    """Give all that looks like a setting in the code's strings, in lower case.

    Documentation does not count, nor the list of what `shoal config` may set.
    """
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path == SOURCE / "logs" / "config.py":
            continue
        tree = ast.parse(path.read_bytes())
        texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in texts:
                found |= set(_SETTING.findall(str(node.value).lower()))
    return found


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
    matching = frozenset(
        name for name in matching - common - _NO_MATCHING if not name.startswith(_NO_MATCHING_TOO)
    )
    have = frozenset.intersection(*(options("shoal", name) for name in here))
    have_matching = options("shoal", "find") & matching
    rows = ["| command | shoal | |", "|---|---|---|"]
    for name in sorted(theirs):
        rows.append(command_row(name, theirs[name], name in ours, common, matching))
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


def command_row(
    name: str, summary: str, is_here: bool, common: frozenset[str], matching: frozenset[str]
) -> str:
    """Give one command's row; `common` and `matching` options have places of their own."""
    if not is_here:
        return f"| `{name}` | none | {summary} |"
    theirs, ours = options("git-annex", name) - common, options("shoal", name)
    missing = theirs - ours
    note = []
    if matching <= theirs:
        some = "only some" if ours & matching else "no"
        if not matching <= ours:
            note.append(f"{some} [matching options](#matching-options)")
        missing -= matching
    if missing:
        note.append(f"without {listed(missing)}")
    note += NOTES["command notes"].get(name, [])
    return f"| `{name}` | {'partial' if note else 'full'} | {'; '.join(note)} |"


def setting_rows() -> list[str]:
    known = names_in_code()
    rows = ["| git config | shoal | |", "|---|---|---|"]
    for name in NOTES["settings"]:
        state, note = NOTES["setting notes"].get(name, ("", ""))
        bare = name.removeprefix("remote.<name>.").removesuffix("<name>").lower()
        of_remotes = bare.replace("annex.", "annex-", 1)
        used = bare in known or (
            of_remotes in known and f"remote.<name>.{of_remotes}" in NOTES["settings"]
        )
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
    lines += ["Settings of shoal's own:", "", *table("own settings"), ""]
    for section in ("Protocol", "Branch files"):
        lines += [f"## {section}", "", *table(section), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
