"""Logging in to an HTTP server with what git's credential helpers know."""

from __future__ import annotations

import asyncio

from shoal.git.credential import Credential, approve, fill, reject
from shoal.git.process import Git
from shoal.p2phttp.codec import Credentials


class Login:
    """The password for one server. Asked for when the server wants one, then kept.

    Without `git` there is none. `url` is what helpers are asked about. Several requests may
    use it at once: the helpers are asked once.
    """

    def __init__(self, git: Git | None = None, url: str = "") -> None:
        self._git = git
        self._url = url
        self._credential: Credential | None = None
        self._approved = False
        self._asking = asyncio.Lock()

    @property
    def header(self) -> str | None:
        """The Authorization header to send now, None for none."""
        if self._credential is None:
            return None
        return Credentials(self._credential.user, self._credential.password).header()

    async def renew(self, refused: str | None, challenge: str) -> bool:
        """After a 401: find another password. False when there is none, and when the helpers'
        answer was refused: it is forgotten then, and the request has failed.

        `refused` is the header that was sent, `challenge` the server's WWW-Authenticate.
        """
        async with self._asking:
            if refused != self.header:
                return self.header is not None  # another request was first
            if self._git is None:
                return False
            if self._credential is not None:
                rejected, self._credential = self._credential, None
                self._approved = False
                await asyncio.to_thread(reject, self._git, rejected)
                return False
            self._credential = await asyncio.to_thread(fill, self._git, self._url, challenge)
            return self._credential is not None

    async def worked(self, sent: str | None) -> None:
        """The server accepted the header `sent`: the helpers may keep the password."""
        credential = self._credential
        if self._git is None or credential is None or self._approved or sent != self.header:
            return
        self._approved = True
        await asyncio.to_thread(approve, self._git, credential)
