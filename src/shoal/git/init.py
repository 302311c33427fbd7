"""Making a git repository one of git-annex's.

What comes out is what `git annex init` gives: configuration, hooks, filter, git-annex branch
and the files in ANNEX. (Left out are files that git-annex makes only to try out SQLite.)
See shoal.git.hookfiles for repositories where only shoal is installed.
Source: behaviour of git-annex 10.20261026.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Collection

from shoal.errors import NotARepository
from shoal.git.clock import candidate_clock
from shoal.git.hookfiles import install
from shoal.git.inodecache import InodeCache
from shoal.git.linked import fix_git_file
from shoal.git.merging import TUNING
from shoal.git.othertmp import write_file
from shoal.git.probing import probe
from shoal.git.repository import VERSION, Repository
from shoal.git.uuids import new_uuid
from shoal.logs import difference
from shoal.logs.trust import TrustLevel
from shoal.values.uuid import UUID


class InitPrevented(NotARepository):
    """The repository must not be initialised: its owner said so."""


def initialise(
    repository: Repository,
    description: str | None = None,
    *,
    uuid: UUID | None = None,
    own_commands: Collection[str] = (),
) -> list[str]:
    """Initialise `repository`, or mend what is missing in one that was initialised before.

    Gives warnings for the user. `uuid` is taken instead of a new one. `own_commands` are
    commands of shoal that hooks may call where git-annex is not installed. Raises
    InitPrevented when a `.noannex` file or the pre-init-annex hook forbids it.
    """
    _check_allowed(repository)
    first_time = not repository.config.get("annex.version")
    shared = _is_shared_clone(repository)
    repository.make_directory(repository.annex_path("journal"))
    repository.branch.ensure_exists()
    if uuid is not None or not repository.config.get("annex.uuid"):
        repository.config.set("annex.uuid", uuid or new_uuid())
        repository.refresh()
    warnings = _probe(repository)
    warnings += _tune(repository, first_time)
    if first_time:
        repository.config.set("annex.version", str(VERSION))
    repository.refresh()
    warnings += install(repository, own_commands)
    _inherit_configuration(repository, first_time)
    _make_sentinal(repository)
    fix_git_file(repository)
    if shared:
        warnings.append(
            "Repository was cloned with --shared; setting annex.hardlink=true and making "
            "repository untrusted."
        )
        repository.logs.set_trust(repository.uuid, TrustLevel.UNTRUSTED)
        repository.config.set("annex.hardlink", "true")
    if description is not None or repository.uuid not in repository.logs.descriptions():
        words = default_description(repository) if description is None else description
        repository.logs.set_description(repository.uuid, words)
    repository.branch.commit()
    repository.refresh()
    return warnings


def ensure_initialised(repository: Repository, own_commands: Collection[str] = ()) -> None:
    """Initialise a clone of a git-annex repository, as every command does when it must.

    Raises NotARepository when git-annex was never used there, or its configuration is lost.
    """
    config = repository.config
    uuid, version = config.get("annex.uuid"), config.get("annex.version")
    if uuid and version:
        return
    if uuid or version:
        have, lack = ("annex.uuid", "annex.version") if uuid else ("annex.version", "annex.uuid")
        raise NotARepository(
            f"This repository has {have} set, but {lack} is not set. Perhaps that git config "
            f"was lost. Cannot use the repository in this state; set back {lack} to fix this."
        )
    if not has_branch(repository):
        raise NotARepository("First run: git-annex init", hint="First run: shoal init")
    objects = repository.annex_path("objects")
    if os.path.isdir(objects):
        raise NotARepository(
            "This repository is not initialized for use by git-annex, but "
            f"{objects} exists, which indicates this repository was used by git-annex before, "
            "and may have lost its annex.uuid and annex.version configs. Either set back "
            "missing configs, or run git-annex init to initialize with a new uuid."
        )
    initialise(repository, own_commands=own_commands)


def has_branch(repository: Repository) -> bool:
    """Tell whether there is a git-annex branch, here or of a remote."""
    return repository.branch.tip is not None or bool(repository.branch.siblings)


def default_description(repository: Repository) -> str:
    """Give the words for a repository that nobody described: `user@host:~/path`."""
    path = os.path.abspath(repository.path)
    home = os.path.expanduser("~")
    if path == home or path.startswith(home + "/"):
        path = "~" + path[len(home) :]
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        return f"{host}:{path}"
    return f"{user}@{host}:{path}" if host else f"{user}:{path}"


def _check_allowed(repository: Repository) -> None:
    if repository.work_tree is not None:
        path = os.path.join(repository.work_tree, ".noannex")
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                words = file.read().strip()
        except FileNotFoundError:
            pass
        else:
            cause = "Initialization prevented by .noannex file (remove the file to override)"
            raise InitPrevented(f"{cause}: {words}" if words else cause)
    if not repository.hooks.run("pre-init-annex", "annex.pre-init-command"):
        raise InitPrevented("Initialization prevented by the pre-init-annex hook")


def _is_shared_clone(repository: Repository) -> bool:
    """Tell whether all objects are another repository's, as after `git clone --shared`."""
    objects = os.path.join(repository.common_dir, "objects")
    if not os.path.exists(os.path.join(objects, "info", "alternates")):
        return False
    packs = os.path.join(objects, "pack")
    if os.path.isdir(packs) and any(name.endswith(".pack") for name in os.listdir(packs)):
        return False
    return not any(
        os.listdir(os.path.join(objects, name)) for name in os.listdir(objects) if len(name) == 2
    )


def _probe(repository: Repository) -> list[str]:
    """Configure the repository for what its file system lacks."""
    config = repository.config
    with repository.othertmp.file("probe") as directory:
        os.mkdir(directory)
        try:
            found = probe(directory)
        finally:
            os.rmdir(directory)
    warnings = []
    if not found.has_locks and not config.get_bool("annex.pidlock", False):
        warnings += [
            "Detected a filesystem without POSIX fcntl lock support.",
            "Enabling annex.pidlock.",
        ]
        config.set("annex.pidlock", "true")
    if not found.has_fifos:
        warnings += [
            "Detected a filesystem without fifo support.",
            "Disabling ssh connection caching.",
        ]
        config.set("annex.sshcaching", "false")
    if found.crippled:
        warnings.append("Detected a crippled filesystem.")
        config.set("annex.crippledfilesystem", "true")
        if config.get_bool("core.symlinks", True):
            warnings.append("Disabling core.symlinks.")
            config.set("core.symlinks", "false")
    return warnings


def _tune(repository: Repository, first_time: bool) -> list[str]:
    """Take over or set up differences from the usual layout, as the user configured them.

    Only the first repository of a family can choose; its clones inherit.
    """
    config, branch = repository.config, repository.branch
    log = difference.parse(branch.read(difference.PATH))
    recorded = difference.all_of(log) or frozenset()
    configured = frozenset(one for key, one in TUNING.items() if config.get_bool(key, False))
    wanted = recorded | configured
    uuid = UUID(config.get("annex.uuid") or "")
    warnings = []
    if not wanted:
        return []
    if not first_time:
        if wanted != log.get(uuid):
            warnings.append("Cannot change tunable parameters in already initialized repository.")
        return warnings
    if not recorded and any(other != uuid for other in repository.logs.descriptions()):
        return ["Cannot change tunable parameters in a clone of an existing repository."]
    if recorded and recorded != wanted:
        warnings.append(
            "The specified tunable parameters differ from values being used in other clones of "
            "this repository."
        )
        wanted = recorded
    for key, one in TUNING.items():
        if one in wanted and not config.get_bool(key, False):
            config.set(key, "true")
    now = candidate_clock()
    branch.change(
        difference.PATH, lambda old: difference.change(old, uuid, wanted, now), regarding=uuid
    )
    return warnings


def _inherit_configuration(repository: Repository, first_time: bool) -> None:
    """Apply what other clones, and the user's configuration for new ones, have set."""
    config, logs = repository.config, repository.logs
    if secure := logs.config().get("annex.securehashesonly"):
        config.set("annex.securehashesonly", secure)
    if not first_time:
        return
    if (expression := config.get("annex.initwanted")) is not None:
        logs.set_wanted(repository.uuid, expression)
    if (expression := config.get("annex.initrequired")) is not None:
        logs.set_required(repository.uuid, expression)
    if groups := (config.get("annex.initgroups") or "").split():
        own = logs.groups().get(repository.uuid, frozenset())
        logs.set_groups(repository.uuid, own | set(groups))


def _make_sentinal(repository: Repository) -> None:
    """Make the file that shows later whether the file system keeps its inode numbers."""
    path = repository.annex_path("sentinal")
    if os.path.exists(path) or os.path.isdir(repository.annex_path("objects")):
        return
    write_file(repository.permissions, path, b"")
    cache = str(InodeCache.of(os.lstat(path)) or "")
    write_file(repository.permissions, path + ".cache", cache.encode())
