"""Which files or keys a command works on: paths, --all, --key, --branch, batches, matching options.

Combinations that the real program refuses are refused with its words.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.annex.matching import CONNECTIVES, Candidate, asks_for_file_names
from shoal.cli.arguments import Parser, duration, key, size
from shoal.cli.format import quoted_path
from shoal.cli.output import Subject
from shoal.errors import ShoalError
from shoal.git.unusedlog import unused_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.annex.files import AnnexedFile
    from shoal.cli.context import Context
    from shoal.values.key import Key

_ONE_OF = (
    "Can only specify one of file names, --all, --branch, --unused, --failed --key, or --incomplete"
)
_NO_FILES = (
    "Cannot use --all or --unused or --key or --incomplete with options that match on file names."
)
_NO_AUTO = (
    "Cannot use --auto or --wanted with --all, --branch, --unused, --failed --key, or --incomplete"
)
_UNKNOWN = "did not match any file(s) known to git"
_VALUED = (
    ("in", "i", "REMOTE", "match files present in a repository"),
    ("copies", "C", "NUMBER", "match files with at least so many copies"),
    ("lackingcopies", "", "NUMBER", "match files that need more copies"),
    ("approxlackingcopies", "", "NUMBER", "match files that need more copies (faster)"),
    ("inbackend", "B", "NAME", "match files using a key-value backend"),
    ("inallgroup", "", "GROUP", "match files present in all repositories of a group"),
    ("onlyingroup", "", "GROUP", "match files present in repositories of a group only"),
    ("metadata", "", "FIELD=VALUE", "match files with attached metadata"),
    ("url", "", "GLOB", "match files by url"),
    ("want-get-by", "", "REMOTE", "match files the specified repository wants to get"),
    ("want-drop-by", "", "REMOTE", "match files the specified repository wants to drop"),
    ("accessedwithin", "", "TIME", "match files accessed within a time interval"),
    ("presentsince", "", "REPOSITORY:TIME", "match files present throughout a time interval"),
    ("lackingsince", "", "REPOSITORY:TIME", "match files not present throughout an interval"),
    ("changedsince", "", "REPOSITORY:TIME", "match files whose presence changed since then"),
    ("excludesamecontent", "", "GLOB", "skip files if another with the content matches the glob"),
    ("includesamecontent", "", "GLOB", "match files if another with the content matches the glob"),
    ("exclude", "x", "GLOB", "skip files matching the glob pattern"),
    ("include", "I", "GLOB", "limit to files matching the glob pattern"),
    ("largerthan", "", "SIZE", "match files larger than a size"),
    ("smallerthan", "", "SIZE", "match files smaller than a size"),
)
_FLAGS = (
    ("securehash", "match files using a cryptographically secure hash"),
    ("expected-present", "match files expected to be present"),
    ("want-get", "match files the local repository wants to get"),
    ("want-drop", "match files the local repository wants to drop"),
    ("locked", "match files that are locked"),
    ("unlocked", "match files that are unlocked"),
    ("anything", "match all files"),
    ("nothing", "don't match any files"),
    ("not", "negate next option"),
    ("and", "both previous and next option must match"),
    ("or", "either previous or next option must match"),
)


def _is_duration(text: str) -> str:
    duration(text)
    return text


_CHECKS = {"accessedwithin": _is_duration}


class _Collect(argparse.Action):
    """Adds (name, value) to the matching options, which keep their order."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        name = self.option_strings[-1].lstrip("-")
        value = values if isinstance(values, str) else ""
        namespace.matching = [*namespace.matching, (name, value)]


def add_matching(parser: Parser, *, only: frozenset[str] | None = None) -> None:
    """Add the matching options, or `only` some of them. They come as `args.matching`."""
    group = parser.add_argument_group("matching options")
    parser.set_defaults(matching=[])
    for name, letter, metavar, text in _VALUED:
        if only is None or name in only:
            names = [f"-{letter}", f"--{name}"] if letter else [f"--{name}"]
            group.add_argument(
                *names, metavar=metavar, action=_Collect, type=_CHECKS.get(name, str), help=text
            )
    for name, text in _FLAGS:
        if only is None or name in only or name in CONNECTIVES:
            group.add_argument(f"--{name}", action=_Collect, nargs=0, help=text)
    group.add_argument("-(", action=_Collect, nargs=0, help="open group of options")
    group.add_argument("-)", action=_Collect, nargs=0, help="close group of options")
    if only is None:
        group.add_argument(
            "-T", "--time-limit", metavar="TIME", type=duration, help="stop after this time"
        )
        group.add_argument(
            "--size-limit", metavar="SIZE", type=size, help="total size of files to process"
        )


def add_batch(parser: Parser, *, keys: bool = False) -> None:
    """Add --batch, -z and perhaps --batch-keys."""
    parser.add_argument("--batch", action="store_true", help="read what to do from stdin")
    if keys:
        parser.add_argument("--batch-keys", action="store_true", help="read keys from stdin")
    parser.add_argument("-z", action="store_true", help="null delimited batch input")


def add_selection(parser: Parser, *, batch: bool = True) -> None:
    """Add paths, --all, --key, --branch, --unused, the matching options, and perhaps --batch."""
    parser.add_argument("paths", metavar="PATH", nargs="*")
    parser.add_argument("-A", "--all", action="store_true", help="all versions of all files")
    parser.add_argument("--branch", metavar="REF", help="files in the specified branch or treeish")
    parser.add_argument("--key", type=key, metavar="KEY", help="operate on specified key")
    parser.add_argument(
        "-U", "--unused", action="store_true", help="files found by last run of git-annex unused"
    )
    parser.set_defaults(batch=False, batch_keys=False)
    if batch:
        add_batch(parser, keys=True)
    add_matching(parser)


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to work on. `candidate` None: a line of a batch that is no annexed file."""

    candidate: Candidate | None
    subject: Subject
    given: tuple[str, ...] = ()


class Selection:
    """What the arguments of one run select. Raises ShoalError when they do not go together.

    `keys_without_paths`: in a bare repository all keys are meant when nothing is named.
    """

    def __init__(self, args: argparse.Namespace, context: Context, *, keyed: bool = True) -> None:
        self._args = args
        self._context = context
        self._keyed = keyed
        self.batch = bool(args.batch or (keyed and args.batch_keys))
        ways = [bool(args.paths), bool(args.branch)]
        if keyed:
            ways += [args.all, args.unused, args.key is not None]
        if self.batch and any(ways):
            raise ShoalError("Cannot combine batch option with file or key options")
        if sum(ways) > 1:
            raise ShoalError(_ONE_OF)
        self._by_key = keyed and (args.all or args.unused or args.key is not None)
        if self._by_key and asks_for_file_names(args.matching):
            raise ShoalError(_NO_FILES)
        automatic = getattr(args, "auto", False) or getattr(args, "wanted", False)
        if automatic and (self._by_key or args.branch):
            raise ShoalError(_NO_AUTO)

    def works(self) -> Iterator[Work]:
        """Give what to work on, in order. What git does not know is complained about once."""
        matches = self._context.session.matcher(self._args.matching)
        limits = self._context.limits
        may_end = not self.batch and not (self._keyed and self._args.key)
        for work in self._candidates():
            if may_end and limits.is_time_up():
                self._context.out.farewell(limits.farewell)
                return
            if work.candidate is None or matches(work.candidate):
                yield work
            elif self.batch:
                yield Work(None, work.subject, work.given)

    def _candidates(self) -> Iterator[Work]:
        args, repository = self._args, self._context.repository
        if self._keyed and args.batch_keys:
            return self._batch_keys()
        if args.batch:
            return self._batch()
        if self._keyed and args.key is not None:
            return iter([_of_key(args.key)])
        if self._keyed and args.unused:
            return map(_of_key, unused_keys(repository))
        if args.branch:
            return self._of_branch(args.branch)
        if self._keyed and (args.all or (repository.is_bare and not args.paths)):
            return (_of_key(key) for key in self._context.session.all_keys())
        if repository.is_bare and self._keyed:
            unknown = "".join(f"error: pathspec '{path}' {_UNKNOWN}\n" for path in args.paths)
            self._context.out.error(f"{unknown}Did you forget to 'git add'?")
            return iter(())
        tree = self._context.session.work_tree
        files = tree.annexed(args.paths, self._context.out.error)
        # Those that were deleted, but not yet from the index, are passed over.
        return (_of_file(file) for file in files if os.path.lexists(tree.full(file.path)))

    def _batch(self) -> Iterator[Work]:
        tree = self._context.session.work_tree
        for line in read_batch(self._args.z):
            file = tree.lookup(line)
            yield Work(None, Subject(file=line), (line,)) if file is None else _of_file(file)

    def _batch_keys(self) -> Iterator[Work]:
        for line in read_batch(self._args.z):
            parsed = parse_key(line, "Batch input parse failure: not a valid key")
            yield _of_key(parsed, (line,))

    def _of_branch(self, ref: str) -> Iterator[Work]:
        for path, found in self._context.session.annexed_in(ref):
            quoted = quoted_path(path, quote_high=self._context.out.quotes_high)
            text = f"{ref}:{quoted}" if self._keyed else path
            yield Work(Candidate(found, path, path), Subject(key=found, text=text))


def _of_key(found: Key, given: tuple[str, ...] = ()) -> Work:
    return Work(Candidate(found), Subject(key=found), given)


def _of_file(file: AnnexedFile) -> Work:
    candidate = Candidate(file.key, file.path, file.shown, file.locked)
    return Work(candidate, Subject(file=file.shown, key=file.key), (file.given or file.shown,))


def read_batch(nul: bool) -> Iterator[str]:
    """Give the lines of standard input, or what is between NULs, as they come."""
    if not nul:
        for line in sys.stdin.buffer:
            yield os.fsdecode(line.rstrip(b"\n").removesuffix(b"\r"))
        return
    rest = b""
    while piece := os.read(sys.stdin.fileno(), 1 << 16):
        *whole, rest = (rest + piece).split(b"\0")
        yield from map(os.fsdecode, whole)
    if rest:
        yield os.fsdecode(rest)


def parse_key(text: str, complaint: str = "bad key") -> Key:
    """Read a key of the command line. Raises ShoalError with `complaint`."""
    from shoal.values.key import Key

    try:
        return Key.parse(os.fsencode(text))
    except ValueError as error:
        raise ShoalError(complaint) from error


def each_word(
    words: Sequence[str],
    batch: bool,
    nul: bool,
    handle: Callable[[str], bool],
    blank: Callable[[], None],
    *,
    stop: bool = False,
) -> bool:
    """Call `handle` for each word, or for each line of a batch; tell whether all were fine.

    `stop`: the first word that is not fine is the last. In a batch `blank` is called for what
    is not fine, and that is no failure.
    """
    if not batch:
        fine = True
        for word in words:
            fine = handle(word) and fine
            if stop and not fine:
                break
        return fine
    if words:
        raise ShoalError("Cannot combine batch option with file or key options")
    for line in read_batch(nul):
        if not handle(line):
            blank()
    return True
