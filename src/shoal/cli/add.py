"""`shoal add`: add files to the annex, or to git."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shoal.annex.files import NoWorkTree
from shoal.cli.arguments import Parser, add_jobs, add_json
from shoal.cli.context import Context
from shoal.cli.format import quoted_path
from shoal.cli.output import Item, Subject
from shoal.cli.selection import add_batch, add_matching, read_batch
from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.annex.adding import Adding, FileToAdd
    from shoal.values.key import Key

_MATCHING = frozenset({"include", "exclude", "largerthan", "smallerthan"})


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="*")
    add_batch(parser)
    parser.add_argument("-u", "--update", action="store_true", help="only update tracked files")
    parser.add_argument("--force-large", action="store_true", help="add all files to the annex")
    parser.add_argument("--force-small", action="store_true", help="add all files to git")
    parser.add_argument("--no-check-gitignore", action="store_true", help="add ignored files too")
    parser.add_argument("--check-gitignore", dest="no_check_gitignore", action="store_false")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("-b", "--backend", metavar="NAME", help="key-value backend to use")
    add_jobs(parser)
    add_json(parser, progress=True)
    add_matching(parser, only=_MATCHING)


def run(args: argparse.Namespace, context: Context) -> int:
    from shoal.annex.adding import Adding, Size

    if context.repository.is_bare:
        raise NoWorkTree
    if args.force_large and args.force_small:
        raise ShoalError("Specify only one of --force-large and --force-small")
    if args.batch and args.paths:
        raise ShoalError("Cannot combine batch option with file or key options")
    size = Size.LARGE if args.force_large else Size.SMALL if args.force_small else None
    count = 1 if args.batch else args.jobs or 1
    context.out.concurrent = count > 1
    force = context.settings.force
    context.repository.branch.update()
    with Adding(context.session, backend=args.backend, size=size, force=force) as adding:
        run = _Run(adding, context, dry=args.dry_run)
        if args.batch:
            run.batch(args)
        else:
            run.all(_files(args, adding, context), count)
    return context.out.exit_code


def _files(args: argparse.Namespace, adding: Adding, context: Context) -> Iterator[FileToAdd]:
    """Give the files that the arguments name and the matching options let through."""

    def not_found(word: str) -> None:
        with context.out.item(Subject(file=word), given=[word], hidden=True) as item:
            name = quoted_path(word, quote_high=context.out.quotes_high)
            item.error(f"{context.out.program}: {name} not found")
            item.field(**{"message-id": "FileNotFound"})
            item.fail()

    found = adding.find(
        args.paths,
        context.out.error,
        not_found,
        only_tracked=args.update,
        ignored_too=args.no_check_gitignore or context.settings.force,
    )
    if not args.matching:
        return found
    from shoal.annex.matching import Candidate
    from shoal.values.key import Key

    matches = context.session.matcher(args.matching)

    def is_wanted(file: FileToAdd) -> bool:
        bytes_there = os.lstat(file.shown).st_size
        return matches(Candidate(Key(b"SHA256", b"", bytes_there), file.path, file.shown))

    return filter(is_wanted, found)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the command. `dry`: nothing is done, and everything is shown."""

    adding: Adding
    context: Context
    dry: bool

    def batch(self, args: argparse.Namespace) -> None:
        """Add the files that come on standard input, one by one."""
        for line in read_batch(args.z):
            known = self.context.session.work_tree.lookup(line)
            lines = argparse.Namespace(**{**vars(args), "paths": [line]})
            done = False
            if os.path.lexists(line):
                for file in _files(lines, self.adding, self.context):
                    done = self._one(file) or done
            if not done and known is not None:
                done = True
                with self._item(line, line) as item:
                    item.field(key=str(known.key))
            if not done:
                self.context.out.blank()
            self.adding.flush()
            self.context.out.flush()

    def all(self, files: Iterator[FileToAdd], count: int) -> None:
        """Add all files, `count` at once."""
        if count == 1:
            for file in files:
                self._one(file)
            return
        running: deque[tuple[FileToAdd, Future[Key]]] = deque()
        with ThreadPoolExecutor(count) as pool:
            for file in files:
                if self._without_annex(file):
                    continue
                running.append((file, pool.submit(self.adding.annex, file)))
                if len(running) >= 2 * count:
                    self._finish(*running.popleft())
            while running:
                self._finish(*running.popleft())

    def _one(self, file: FileToAdd) -> bool:
        """Add one file; tell whether there was anything to do."""
        from shoal.annex.adding import Way

        way = self.adding.way_of(file)
        if way is None:
            return False
        if way is not Way.ANNEX or self.dry:
            return self._without_annex(file)
        with self._item(file.shown, file.given) as item:
            total = os.lstat(self.context.session.work_tree.full(file.path)).st_size
            key = self.adding.annex(file, partial(_progress, item, total))
            item.field(key=str(key))
        return True

    def _without_annex(self, file: FileToAdd) -> bool:
        """Do what does not take long with a file; False when it belongs into the annex."""
        from shoal.annex.adding import Way

        way = self.adding.way_of(file)
        if way is Way.ANNEX and not self.dry:
            return False
        if way is not None:
            with self._item(file.shown, file.given) as item:
                if way not in (Way.LINK, Way.ANNEX):
                    item.note(way.value)
                if not self.dry:
                    self.adding.add_to_git(file)
                    self.context.staged = True
        return True

    def _finish(self, file: FileToAdd, future: Future[Key]) -> None:
        with self._item(file.shown, file.given) as item:
            item.field(key=str(future.result()))

    def _item(self, shown: str, given: str) -> Item:
        return self.context.out.item(Subject(file=shown), given=[given])


def _progress(item: Item, total: int, done: int) -> None:
    item.progress(done, total)
