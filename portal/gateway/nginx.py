"""Renders nginx's configuration from settings, and says where nginx is and what its workers run as."""

import hashlib
import os
import pwd
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from portal.gateway import pages, places

ACCOUNTS = ("www-data", "nginx", "nobody")
ENOUGH_FILES = 65_536
LUA_WORKS = 42
LUA_TRIAL = """
load_module %{modules}/ndk_http_module.so;
load_module %{modules}/ngx_http_lua_module.so;
daemon off;
events {}
http { init_by_lua_block { require("ngx.balancer") os.exit(%{works}) } }
"""


def program() -> str | None:
    """Also where an ordinary user's PATH does not look."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")


def lua_modules(program: str) -> Path | None:
    """The folder of nginx's modules, if among them is what keeps connections to workspaces, and works."""
    told = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    named = re.search(r"--modules-path=(\S+)", told)
    return Path(named[1]) if named and _lua_works(program, Path(named[1])) else None


def _lua_works(program: str, modules: Path) -> bool:
    """Lua's own libraries are looked for when nginx starts, not by `nginx -t`."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as tried:
        tried.write(pages.Filled(LUA_TRIAL).substitute(modules=modules, works=LUA_WORKS))
        tried.flush()
        command = [program, "-e", "stderr", "-c", tried.name]
        try:
            return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == LUA_WORKS
        except subprocess.TimeoutExpired:
            return False


def workers_account() -> str:
    """Started by root, nginx gives its workers to an account that owns nothing; otherwise they stay what we are."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*ACCOUNTS, "root") if name in known)


def folder(data: Path, account: str) -> Path:
    """Where nginx keeps its files: beside the data, or in /tmp where the workers cannot reach the data."""
    wanted = data.resolve() / "nginx"
    wanted.mkdir(parents=True, exist_ok=True)
    if not account or _may_enter(wanted, account):
        return wanted
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    elsewhere = Path(tempfile.gettempdir()) / f"berth-nginx-{name}"
    elsewhere.mkdir(mode=0o711, exist_ok=True)
    if elsewhere.is_symlink() or elsewhere.stat().st_uid != os.geteuid():
        raise PermissionError(f"{elsewhere} belongs to someone else: remove it, then start again.")
    return elsewhere


def _may_enter(directory: Path, account: str) -> bool:
    entry = pwd.getpwnam(account)
    test = ["test", "-x", str(directory)]
    return subprocess.run(test, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], check=False).returncode == 0


def render(where: Path, account: str, modules: Path | None) -> str:
    """Connections to workspaces are kept if there are `modules`."""
    open_files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], ENOUGH_FILES)
    portal, workspace = urlsplit(settings.PORTAL_URL), urlsplit(settings.WORKSPACE_URL)
    template = pages.Filled((Path(__file__).parent / "nginx.conf").read_text())
    return template.substitute(
        lua="" if modules else "# ",
        modules=modules,
        user=f"user {account};" if account else "",
        folder=where,
        open_files=open_files,
        connections=open_files // 2,
        port=settings.GATEWAY_PORT,
        web=settings.WEB_ADDRESS,
        live=settings.LIVE_ADDRESS,
        relay=settings.RELAY_ADDRESS,
        files=settings.FILES_ADDRESS,
        portal_url=settings.PORTAL_URL,
        portal_scheme=portal.scheme,
        portal_host=portal.netloc,
        portal_name=portal.hostname,
        workspace_scheme=workspace.scheme,
        workspace_name=places.server_name(),
        prefix=places.prefix(),
        cookie=places.cookie_name(),
        services=_services(),
        networks="\n".join(f"        {network} yes;" for network in places.networks()),
        page_headers="\n".join(f'        add_header {name} "{value}" always;' for name, value in pages.HEADERS.items()),
        **{f"page_{why.replace('-', '_')}": pages.page(why) for why in pages.PAGES},
    )


def _services() -> str:
    """The server at the services door, for containers alone; nothing where there is to be none."""
    if not settings.SERVICES_PORT:
        return ""
    portal, host = urlsplit(settings.PORTAL_URL), "" if settings.RUNTIME == "docker" else "127.0.0.1:"
    template = pages.Filled((Path(__file__).parent / "services.conf").read_text())
    return template.substitute(
        listen=f"{host}{settings.SERVICES_PORT}",
        allowed="\n".join(f"        allow {network};" for network in places.networks()),
        id=places.ID,
        inside=places.inside("$service"),
        portal_scheme=portal.scheme,
        portal_host=portal.netloc,
    )
