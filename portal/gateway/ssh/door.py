"""The door itself: keys only, one workspace a connection, nothing of the machine it runs on."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import asyncssh
from django.conf import settings
from django.db import close_old_connections

from portal.accounts import keys
from portal.accounts.models import PublicKey
from portal.gateway.ssh import visits
from portal.gateway.ssh.execution import Program
from portal.gateway.ssh.pipes import Forward, Session
from portal.gateway.ssh.visits import Visit
from portal.lib.errors import Problem

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
LOGIN_SECONDS = 30
HERE = ("localhost", "127.0.0.1", "::1")

P = ParamSpec("P")
T = TypeVar("T")


async def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask the database from a thread, with a fresh look at its connection."""

    def bounded() -> T:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.to_thread(bounded)


class Door(asyncssh.SSHServer):
    """One connection."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._key: PublicKey | None = None
        self._visit: Visit | None = None
        self._refusal = ""
        self._watching: asyncio.Task[None] | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watching:
            self._watching.cancel()

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._key = await _call(keys.by_fingerprint, key.get_fingerprint())
        return self._key is not None

    def kbdint_auth_supported(self) -> bool:
        """Nobody is let in by it: clients ask for it when no key has opened, and so they can be told why."""
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> bool:
        self._connection.send_auth_banner(
            "None of your keys opens this door. A key that is in no profile, or that was deleted there, opens nothing; "
            f"nor does one of an account that was closed. Your keys: {settings.PORTAL_URL}/keys/\n"
        )
        return False

    async def session_requested(self) -> Session:
        await self._admit()
        return Session(self._program if self._visit else None, self._refusal)

    async def _admit(self) -> None:
        """Once a connection, when it first wants something."""
        if self._visit or self._refusal or self._key is None:
            return
        name = self._connection.get_extra_info("username")
        try:
            self._visit = await _call(visits.admit, self._key, name)
        except Problem as problem:
            self._refusal = f"{problem.detail} {settings.PORTAL_URL}/workspaces/"
            return
        self._watching = asyncio.get_running_loop().create_task(self._watch(self._visit))

    async def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Forward:
        await self._admit()
        if self._visit is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, self._refusal)
        if dest_host not in HERE:
            reason = "Only ports of the workspace itself (localhost) can be reached through here."
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, reason)
        return Forward(self._program, dest_port)

    def _program(self, **asked: Any) -> Program:
        assert self._visit is not None
        return Program(self._visit.allocation.pk, self._visit.key.user_id, **asked)

    async def _watch(self, visit: Visit) -> None:
        """Cut the connection when the right to it has ended; while nobody can tell, it stays."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                holds = await _call(visits.still_holds, visit)
            except Exception:
                logger.exception("the right to an SSH connection could not be checked")
                continue
            if not holds:
                reason = f"{visit.workspace.name} was stopped, or your right to it has ended."
                self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, reason)
                return


def host_key(path: Path) -> asyncssh.SSHKey:
    """Made once, readable by its owner only; clients remember it."""
    if not path.exists():
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        fresh.rename(path)
    return asyncssh.read_private_key(path)


async def serve(port: int) -> None:
    """Until cancelled."""
    server = await asyncssh.create_server(
        Door,
        "",
        port,
        server_host_keys=[host_key(settings.SSH_HOST_KEY)],
        encoding=None,
        line_editor=False,
        login_timeout=LOGIN_SECONDS,
        keepalive_interval=30,
        agent_forwarding=False,
        x11_forwarding=False,
        server_version="Berth",
    )
    async with server:
        await server.wait_closed()
