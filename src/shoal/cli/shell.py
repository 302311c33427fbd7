"""`shoal-shell`: what git-annex-shell is for, at the other end of ssh.

ssh starts it for every connection, so each command imports only what it needs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from shoal.cli.shellwords import (
    AnnexCommand,
    BadOption,
    GitCommand,
    Limits,
    absolute,
    blocked,
    parse_words,
)
from shoal.errors import NotARepository, ShoalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoal.git.repository import Repository
    from shoal.p2p.server import Access
    from shoal.values.key import Key
    from shoal.values.uuid import UUID

_UNKNOWN = 100  # exit code of inannex when it cannot tell


def main(words: Sequence[str] | None = None) -> int:
    """Run one command of a client; give the exit code."""
    name = os.path.basename(sys.argv[0])
    try:
        command = parse_words(sys.argv[1:] if words is None else words, name)
        limits = Limits.of(os.environ)
        limits.check(command)
        if isinstance(command, GitCommand):
            return _run_git(command)
        if command.debug:
            from shoal import debug

            debug.enable()
        return _COMMANDS[command.name](command, limits)
    except BadOption as error:
        _complain(str(error))
        return error.exit_code
    except ShoalError as error:
        _complain(f"{name}: {error}\n")
        return error.exit_code
    except OSError as error:
        _complain(f"{name}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _complain(text: str) -> None:
    sys.stderr.buffer.write(f"{text}\n".encode("utf-8", "surrogateescape"))
    sys.stderr.buffer.flush()


def _run_git(command: GitCommand) -> int:
    """Let git-shell do what it allows."""
    import subprocess

    sys.stdout.flush()
    if subprocess.call(["git-shell", "-c", *command.words]) != 0:
        raise UsageError("git-shell failed")
    return 0


def _open(directory: str) -> Repository:
    """Open the repository that a client names."""
    from shoal.git.repository import Repository, UnsupportedVersion

    path = absolute(directory)
    try:
        repository = Repository.open(path)
        repository.complain = _complain
        return repository
    except UnsupportedVersion:
        raise
    except NotARepository as error:
        import socket

        raise NotARepository(
            f"failed to read git config of git repository in {socket.gethostname()} on {path}; "
            "perhaps this repository is not set up correctly or has moved"
        ) from error


def _open_annex(command: AnnexCommand) -> Repository:
    """Open a repository whose UUID is the one that the client expects, if it says which.

    A repository of git-remote-gcrypt has no UUID, but its own id.
    """
    repository = _open(command.directory)
    repository.keeps_reserve = not command.force
    found = repository.config.get("annex.uuid")
    if command.uuid is not None and command.uuid != found:
        raise _wrong_uuid(command.uuid, found)
    if not found and not repository.config.get("core.gcrypt-id"):
        raise NotARepository("Not a git-annex or gcrypt repository.")
    return repository


def _wrong_uuid(expected: str, found: str | None) -> NotARepository:
    what = f"UUID {found}" if found else "uninitialized repository"
    return NotARepository(f"expected repository UUID {expected} but found {what}")


def _config_list(command: AnnexCommand, limits: Limits) -> int:
    repository = _open(command.directory)
    found = repository.config.get("annex.uuid")
    if command.uuid is not None and command.uuid != found:
        raise _wrong_uuid(command.uuid, found)
    if not found:
        _initialise(repository, command, limits)
    for key in ("annex.uuid", "core.gcrypt-id"):
        sys.stdout.write(f"{key}={repository.config.get(key) or ''}\n")
    sys.stdout.flush()
    return 0


def _initialise(repository: Repository, command: AnnexCommand, limits: Limits) -> None:
    """Initialise a repository that was prepared for it, or whose client wants it to be."""
    from shoal.git.init import has_branch, initialise

    if not command.may_init and not has_branch(repository):
        return
    if limits.read_only:
        raise blocked("READONLY")
    for warning in initialise(repository):
        _complain(warning)


def _in_annex(command: AnnexCommand, limits: Limits) -> int:
    """Exit with 0 when all keys are here, 1 when one is not, 100 when that is not known."""
    repository = _open_annex(command)
    keys = [_key(word) for word in command.parameters]
    try:
        present = [repository.objects.present(key) for key in keys]
    except (ShoalError, OSError) as error:
        _complain(str(error))
        return _UNKNOWN
    return 0 if all(present) else 1


def _key(word: str) -> Key:
    from shoal.values.key import Key

    try:
        return Key.parse(os.fsencode(word))
    except ValueError:
        raise UsageError("bad key") from None


def _drop_key(command: AnnexCommand, limits: Limits) -> int:
    """Drop contents without looking for other copies, as the client has done that."""
    if not command.force:
        raise UsageError(
            "dropkey can cause data loss; use --force if you're sure you want to do this"
        )
    repository = _open_annex(command)
    if command.separator:
        return _drop_batch(repository, command.separator)
    keys = []
    for word in command.parameters:
        try:
            keys.append(_key(word))
        except UsageError as error:
            _complain(f"git-annex: {error}\ndropkey: 1 failed")
            return 1
    from shoal.cli.shellserve import drop_keys

    return drop_keys(repository, keys)


def _drop_batch(repository: Repository, separator: str) -> int:
    """Drop the keys that are on stdin, up to the first that is none."""
    from shoal.cli.shellserve import drop_keys

    words = os.fsdecode(sys.stdin.buffer.read()).split(separator)
    keys, failure = [], None
    for word in words[:-1] if words[-1] == "" else words:
        try:
            keys.append(_key(word))
        except UsageError as error:
            failure = UsageError(f"Batch input parse failure: {error}\n")
            break
    code = drop_keys(repository, keys)
    if failure is not None:
        raise failure
    return code


def _send_key(command: AnnexCommand, limits: Limits) -> int:
    repository = _open_annex(command)
    from shoal.cli.shellrsync import send_key

    return _each_key(command, lambda key: send_key(repository, key, _client(command), _complain))


def _receive_key(command: AnnexCommand, limits: Limits) -> int:
    repository = _open_annex(command)
    from shoal.cli.shellrsync import receive_key

    return _each_key(command, lambda key: receive_key(repository, key, _client(command), _complain))


def _each_key(command: AnnexCommand, act: Callable[[Key], bool]) -> int:
    return 0 if all(act(_key(word)) for word in command.parameters) else 1


def _client(command: AnnexCommand) -> UUID:
    """Give who sends or receives, as transfer logs name it."""
    from shoal.values.uuid import UUID

    return UUID(command.fields.get("remoteuuid") or "rsync")


def _notify_changes(command: AnnexCommand, limits: Limits) -> int:
    repository = _open(command.directory)
    found = repository.config.get("annex.uuid")
    if command.uuid is not None and command.uuid != found:
        proxied = {str(proxy.uuid) for proxy in repository.logs.proxies(repository.uuid)}
        if command.uuid not in proxied:
            raise _wrong_uuid(command.uuid, found)
    from shoal.cli.shellchanges import notify_changes

    return notify_changes(repository)


def _set_up_gcrypt(command: AnnexCommand, limits: Limits) -> int:
    """Note the id of git-remote-gcrypt in a repository that has none, and is not an annex."""
    repository = _open(command.directory)
    failures = []
    for identity in command.parameters:
        known = repository.config.get("core.gcrypt-id")
        if repository.config.get("annex.uuid"):
            failures.append("refusing to run; this repository already has a git-annex uuid!")
        elif known and known != identity:
            failures.append("uuid mismatch")
        elif not known:
            repository.config.set("core.gcrypt-id", identity)
            repository.config.set("receive.denyNonFastForwards", "false")
    for cause in failures:
        _complain(f"git-annex: gcryptsetup {cause}")
    if failures:
        _complain(f"gcryptsetup: {len(failures)} failed")
    return 1 if failures else 0


def _p2p_stdio(command: AnnexCommand, limits: Limits) -> int:
    """Speak the P2P protocol; GIT_ANNEX_SHELL_READONLY and APPENDONLY limit the session."""
    from shoal.values.uuid import parse_uuid

    if len(command.parameters) != 1:
        raise UsageError("missing UUID parameter")
    try:
        client = parse_uuid(os.fsencode(command.parameters[0]))
        wanted = None if command.uuid is None else parse_uuid(os.fsencode(command.uuid))
    except ValueError as error:
        raise UsageError(str(error)) from error
    repository = _open(command.directory)
    repository.keeps_reserve = not command.force
    if not repository.config.get("annex.uuid"):
        if wanted is not None:
            raise _wrong_uuid(wanted, None)
        raise NotARepository("Not a git-annex or gcrypt repository.")
    if wanted is None or wanted == repository.uuid:
        return _serve_own(repository, client, limits)
    return _serve_other(repository, wanted, client, limits)


def _greet(uuid: UUID) -> None:
    """Begin a session, before what serves it is imported."""
    sys.stdout.write(f"AUTH-SUCCESS {uuid}\n")
    sys.stdout.flush()


def _serve_other(repository: Repository, wanted: UUID, client: UUID, limits: Limits) -> int:
    """Serve what this repository is a gateway for, if it says that it is.

    As with git-annex-shell, the client is greeted before that is connected to.
    """
    from shoal.logs import proxy

    published = proxy.parse(repository.branch.read(proxy.PATH)).get(repository.uuid, ())
    begun = None
    if any(proxied.uuid == wanted for proxied in published):
        _greet(wanted)
        from shoal.p2p.server import ServerSession

        begun = (ServerSession(wanted, _access(limits), greeted=True), None)
    from shoal.cli.shellserve import serve_session

    return serve_session(repository, wanted, client, _access(limits), _complain, begun)


def _serve_own(repository: Repository, client: UUID, limits: Limits) -> int:
    """Serve this repository itself."""
    _greet(repository.uuid)
    from shoal.cli.shellearly import EarlySession
    from shoal.p2p.server import End

    early = EarlySession(repository, client, _access(limits))
    event = early.serve()
    if isinstance(event, End):
        return 0
    from shoal.cli.shellserve import serve_session

    begun = (early.session, event)
    return serve_session(repository, None, client, _access(limits), _complain, begun)


def _access(limits: Limits) -> Access:
    from shoal.p2p.server import Access

    if limits.read_only:
        return Access.READ_ONLY
    return Access.APPEND_ONLY if limits.append_only else Access.FULL


_COMMANDS = {
    "configlist": _config_list,
    "dropkey": _drop_key,
    "gcryptsetup": _set_up_gcrypt,
    "inannex": _in_annex,
    "notifychanges": _notify_changes,
    "p2pstdio": _p2p_stdio,
    "recvkey": _receive_key,
    "sendkey": _send_key,
}
