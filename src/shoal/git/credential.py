"""Passwords from git's credential helpers: `git credential fill`, `approve` and `reject`."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.git.process import Git


@dataclass(frozen=True, slots=True)
class Credential:
    """What helpers gave for a URL; `answer` is all of it, for approve() and reject()."""

    user: str
    password: str
    answer: bytes

    def __repr__(self) -> str:
        return f"Credential({self.user!r}, …)"  # passwords stay out of logs


def fill(git: Git, url: str, challenge: str = "") -> Credential | None:
    """Ask the helpers, and then perhaps the user, for a password for `url`.

    `challenge` is the server's WWW-Authenticate header. None: there is none to be had.
    """
    asked = [f"url={url}"]
    if challenge and "\n" not in challenge:
        asked.append(f"wwwauth[]={challenge}")
    question = "\n".join([*asked, "", ""]).encode("utf-8", "surrogateescape")
    status, answer, _ = git.ask("credential", "fill", data=question)
    lines = answer.decode("utf-8", "surrogateescape").splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line)
    if status != 0 or "password" not in given:
        return None
    return Credential(given.get("username", ""), given["password"], answer)


def approve(git: Git, credential: Credential) -> None:
    """Tell the helpers that the password works: they may store it."""
    git.ask("credential", "approve", data=credential.answer + b"\n")


def reject(git: Git, credential: Credential) -> None:
    """Tell the helpers that the password does not work: they forget it."""
    git.ask("credential", "reject", data=credential.answer + b"\n")
