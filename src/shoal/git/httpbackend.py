"""Starting git-http-backend for one request to one repository.

What it may do is told on its command line, for each request. A repository's own configuration
can only take away from that: `http.uploadpack` and `http.receivepack` set to false there count.
Whether git deems a repository safe was asked when it was opened; it asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shoal.git.process import clean_environment

_PASSWORDS = "GIT_ANNEX_P2PHTTP_"
_OF_A_REQUEST = ("HTTP_", "CONTENT_", "REMOTE_", "REQUEST_", "GIT_HTTP_", "GIT_PROTOCOL")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start: its words, its whole environment, and where it runs."""

    words: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str


def backend(git_dir: str, request: Mapping[str, str], *, may_push: bool) -> Command:
    """Give the command that answers a request, of which `request` tells in CGI's variables.

    The command, and the hooks that it runs, get neither passwords of the server's users nor
    another request's variables.
    """
    environment = {
        name: value
        for name, value in clean_environment().items()
        if not name.startswith((_PASSWORDS, *_OF_A_REQUEST))
    }
    environment |= {"GIT_PROJECT_ROOT": git_dir, "GIT_HTTP_EXPORT_ALL": "1"} | dict(request)
    push = f"http.receivepack={'true' if may_push else 'false'}"
    words = ("git", "-c", push, "-c", "http.getanyfile=false", "http-backend")
    return Command(words, environment, git_dir)
