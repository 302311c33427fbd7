"""git itself over HTTP, at the address of the gateway: clone, fetch and push.

Users and permissions are those of the P2P endpoints. git-http-backend does the work; it is
started for each request, and told what the client may do. After a push, git runs the
repository's hooks; what was pushed to the git-annex branch is seen at the next request.
"""

from __future__ import annotations

from aiohttp import web

from shoal.git.httpbackend import backend
from shoal.p2phttp.cgi import request_environment
from shoal.p2phttp.gitroutes import (
    GitRequest,
    Service,
    annex_url,
    parse_git_request,
    render_config,
)
from shoal.p2phttp.routes import BadRequest
from shoal.server.answers import plain_answer
from shoal.server.cgi import Relay
from shoal.server.options import Limits
from shoal.server.permissions import Permissions
from shoal.server.target import Directory, ServedGit, Site


class GitHttp:
    """Answers requests of git. One for a whole server."""

    def __init__(self, directory: Directory, permissions: Permissions, limits: Limits) -> None:
        self._directory = directory
        self._permissions = permissions
        self._limits = limits

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Answer a request; None: it is not for git.

        Raises BadRequest, Denied, ShoalError and OSError, and ConnectionError when the client
        has gone.
        """
        path, _, query = request.raw_path.partition("?")
        asked = parse_git_request(request.method, path, query)
        if asked is None:
            return None
        user = self._permissions.check(
            asked.need, request.headers.get("Authorization"), encrypted=request.secure
        )
        site = await self._directory.find_path(asked.repository)
        served = None if site is None else await site.served_git()
        if site is None or served is None:
            raise BadRequest(404)
        with site.in_use():
            if asked.service is None:
                return _config(request, served)
            return await self._run(request, asked, site, served, user)

    async def _run(
        self,
        request: web.BaseRequest,
        asked: GitRequest,
        site: Site,
        served: ServedGit,
        user: str | None,
    ) -> web.StreamResponse:
        environment = request_environment(
            request.method, asked, request.headers, user=user, peer=request.remote or ""
        )
        may_push = served.takes_pushes and asked.service is Service.RECEIVE_PACK
        command = backend(served.git_dir, environment, may_push=may_push)
        async with site.slots.git():
            if request.transport is None:
                raise ConnectionResetError("Connection lost")
            if request.headers.get("Expect", "").lower() == "100-continue":
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return await Relay(request, self._limits.stall).answer(command)


def _config(request: web.BaseRequest, served: ServedGit) -> web.StreamResponse:
    url = served.url or annex_url(request.headers.get("Host"), encrypted=request.secure)
    text = render_config(served.uuid, is_bare=served.is_bare, url=url)
    return plain_answer(200, text.decode("utf-8", "surrogateescape"))
