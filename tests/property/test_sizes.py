"""Whatever two processes do to a repository, sizes are what reading all logs again gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.git.repository import Repository
from shoal.logs import location
from shoal.logs.presence import Status
from shoal.values.key import Key
from shoal.values.uuid import UUID
from tests.support.annexrepo import HERE, THERE, git, make_annex

KEYS = [Key.parse(b"SHA256E-s%d--%d" % (10**n, n)) for n in range(2)]
REPOS = [HERE, THERE, UUID("ac666666-6666-8666-8666-666666666666")]

_Changes = dict[UUID, bool | Status]
_changes: st.SearchStrategy[tuple[str, Key, _Changes]] = st.tuples(
    st.just("change"),
    st.sampled_from(KEYS),
    st.dictionaries(
        st.sampled_from(REPOS), st.sampled_from([True, False, Status.DEAD]), min_size=1
    ),
)
_others: st.SearchStrategy[tuple[str, Key, _Changes]] = st.tuples(
    st.sampled_from(["commit", "ask", "restart", "push", "rewrite"]),
    st.sampled_from(KEYS),
    st.builds(_Changes),
)
_steps = st.lists(st.tuples(st.integers(0, 1), _changes | _others), min_size=3, max_size=14)


def expected(repository: Repository) -> dict[UUID, int]:
    """Add up what all logs say, one by one."""
    sums: dict[UUID, int] = {}
    for key, repos in repository.logs.scan_locations():
        for repo in repos:
            sums[repo] = sums.get(repo, 0) + (key.size or 0)
    return sums


@contextmanager
def two_processes() -> Iterator[list[Repository]]:
    with tempfile.TemporaryDirectory() as directory:
        made = make_annex(Path(directory) / "r")
        opened = [made, Repository.open(made.path)]
        yield opened
        for repository in opened:
            repository.close()


def push(repository: Repository, key: Key) -> None:
    """Let somebody push to the branch itself."""
    if (tip := repository.branch.tip) is None:
        return
    log = f"9999999999s 1 {THERE}\n"
    script = f"commit refs/heads/git-annex\ncommitter a <a> 1 +0000\ndata 0\nfrom {tip}\n"
    script += f"M 100644 inline {location.path(key)}\ndata {len(log)}\n{log}\n"
    git(Path(repository.path), "fast-import", "--quiet", data=script.encode())


def rewrite(repository: Repository) -> None:
    """Leave the history of the branch behind, as `git annex forget` does, and lose it."""
    repository.branch.commit()
    if (tip := repository.branch.tip) is None:
        return
    path = Path(repository.path)
    commit = git(path, "commit-tree", "-m", "forgotten", f"{tip}^{{tree}}").strip()
    git(path, "update-ref", "refs/heads/git-annex", commit)
    git(path, "reflog", "expire", "--expire=now", "--all")
    git(path, "prune", "--expire=now")


def check(repository: Repository) -> None:
    """Check that the sizes are right."""
    repository.refresh()
    found = {repo: size for repo, size in repository.sizes.sizes().items() if size}
    assert found == expected(repository)


@settings(max_examples=40, deadline=None)
@given(_steps)
def test_sizes_are_those_of_a_new_scan(
    steps: list[tuple[int, tuple[str, Key, _Changes]]],
) -> None:
    with two_processes() as opened:
        for which, (what, key, changes) in steps:
            repository = opened[which]
            match what:
                case "change":
                    repository.logs.set_locations(key, changes)
                case "commit":
                    repository.branch.commit()
                case "push":
                    push(repository, key)
                case "rewrite":
                    rewrite(repository)
                case "restart":
                    repository.close()
                    opened[which] = Repository.open(repository.path)
            check(opened[which])
        for repository in opened:
            check(repository)
