"""The SSH door with OpenSSH's own programs, in front of a real JupyterLab container."""

import html
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.callers import Caller, cookies, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


class Laptop:
    """Somebody's own machine: a key, and OpenSSH's programs configured for the door."""

    def __init__(self, berth: Berth, folder: Path) -> None:
        self.berth, self.folder = berth, folder
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test laptop", "-f", str(key)], check=True)
        self.public = key.with_suffix(".pub").read_text()
        self.config = folder / "config"
        self.config.write_text(
            f"Host *\n  HostName 127.0.0.1\n  Port {berth.server.port + 4}\n  IdentityFile {key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder / 'known'}\n"
            "  StrictHostKeyChecking accept-new\n  BatchMode yes\n"
        )

    def run(
        self, program: str, *arguments: str, given: bytes = b"", term: str | None = "xterm"
    ) -> "subprocess.CompletedProcess[bytes]":
        command = [program, "-F", str(self.config), *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "TERM"}
        environment |= {"TERM": term} if term else {}
        return subprocess.run(command, input=given, capture_output=True, timeout=120, check=False, env=environment)

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["ssh", "-F", str(self.config), *arguments], stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def laptop(berth: Berth, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    made = Laptop(berth, tmp_path_factory.mktemp("laptop"))
    post(berth, "/keys/", {"key": made.public})
    return made


def post(berth: Berth, path: str, fields: dict[str, str], user: str = "scientist") -> None:
    signed_in = berth.sign_in(user)
    page = berth.server.send("GET", "localhost", "/keys/", Cookie=signed_in)
    jar = "; ".join([signed_in, cookies(page)])
    token = jar.partition("berth-csrf=")[2].partition(";")[0]
    done = berth.server.send_form(
        "localhost", path, fields | {"csrfmiddlewaretoken": token}, Cookie=jar, Origin=berth.url
    )
    assert done.status == 302, done


@pytest.fixture(scope="module")
def desk(berth: Berth) -> Iterator[str]:
    """Where ssh finds a running JupyterLab of the scientist's: the user names the workspace."""
    caller = berth.api("scientist")
    eventually(lambda: berth.image("jupyter-python")["state"] == "ready", "the image", 900)
    pk = str(caller.do("POST", "/workspaces/", {"template": "jupyter-python", "name": "desk"})["id"])
    caller.wait(pk, "running")
    yield f"{pk.lower()}@door"
    caller.delete_all()


def test_commands_keep_their_bytes_their_errors_and_their_exit_code(laptop: Laptop, desk: str) -> None:
    done = laptop.run("ssh", desk, "cat; echo bad >&2; exit 7", given=bytes(range(256)) * 4000)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (7, b"bad")
    assert done.stdout == bytes(range(256)) * 4000
    assert laptop.run("ssh", "desk@door", "id -un; pwd").stdout == b"berth\n/home/berth\n"


def test_a_terminal_is_a_login_shell_with_the_message_of_the_day(laptop: Laptop, desk: str) -> None:
    done = laptop.run("ssh", "-tt", desk, given=b"stty -echo; echo $TERM; python --version; exit\n")
    assert b"/home/berth, stays when this workspace stops" in done.stdout
    assert b"Python 3" in done.stdout


def test_a_terminal_of_no_known_type_is_one_all_the_same(laptop: Laptop, desk: str) -> None:
    for _ in range(5):  # what ends at once may be over before its terminal has its size
        done = laptop.run("ssh", "-tt", desk, "tty", term=None)
        assert done.stdout.startswith(b"/dev/pts/"), done


def test_files_go_both_ways_by_sftp_scp_and_rsync(laptop: Laptop, desk: str, tmp_path: Path) -> None:
    sent = tmp_path / "sent.bin"
    sent.write_bytes(b"\0\xff data" * 200_000)
    batch = f"put {sent} by-sftp.bin\nrename by-sftp.bin moved.bin\nget moved.bin {tmp_path / 'back1'}\n"
    assert laptop.run("sftp", "-b", "-", desk, given=batch.encode()).returncode == 0
    assert laptop.run("scp", str(sent), f"{desk}:by-scp.bin").returncode == 0
    assert laptop.run("scp", f"{desk}:by-scp.bin", str(tmp_path / "back2")).returncode == 0
    shell = f"ssh -F {laptop.config}"
    subprocess.run(["rsync", "-a", "-e", shell, str(sent), f"{desk}:by-rsync.bin"], check=True, timeout=60)
    subprocess.run(
        ["rsync", "-a", "-e", shell, f"{desk}:by-rsync.bin", str(tmp_path / "back3")], check=True, timeout=60
    )
    for name in ("back1", "back2", "back3"):
        assert (tmp_path / name).read_bytes() == sent.read_bytes()


def test_an_editors_handshake_works(laptop: Laptop, desk: str, tmp_path: Path) -> None:
    """What VS Code's Remote-SSH does: a script on the input of a bare shell, then a server's port through SOCKS."""
    script = b"""
        export KEPT=$HOME/.server; mkdir -p $KEPT && cd $KEPT && echo hello >index.html
        (nohup python3 -m http.server --bind 127.0.0.1 8765 >/dev/null 2>&1 &)
        for i in $(seq 100); do curl -s localhost:8765 && break; sleep 0.1; done; uname -s; echo ready
    """
    done = laptop.run("ssh", "-T", "-D", str(port := laptop.berth.server.port + 400), desk, "sh", given=script)
    assert done.stdout.split() == [b"hello", b"Linux", b"ready"]
    tunnel = laptop.start("-N", "-D", str(port), desk)
    try:
        fetch = ["curl", "-sS", "--socks5-hostname", f"127.0.0.1:{port}", "http://localhost:8765/"]
        eventually(lambda: subprocess.run(fetch, capture_output=True, check=False).stdout == b"hello\n", "the page")
        refused = subprocess.run([*fetch[:-1], "http://169.254.169.254/"], capture_output=True, check=False)
        assert refused.returncode
    finally:
        tunnel.terminate()
        tunnel.wait(10)


def test_a_strangers_key_and_anothers_workspace_are_refused(berth: Berth, desk: str, tmp_path: Path) -> None:
    stranger = Laptop(berth, tmp_path)
    denied = stranger.run("ssh", desk, "id")
    assert (denied.returncode, b"Permission denied (publickey" in denied.stderr) == (255, True)
    post(berth, "/keys/", {"key": stranger.public}, user="outsider")
    told = stranger.run("ssh", desk, "id")
    assert (told.returncode, b"You have no workspace" in told.stderr) == (1, True)


def test_a_deleted_key_is_refused_with_the_reason_while_the_workspace_runs(
    berth: Berth, desk: str, tmp_path: Path
) -> None:
    second = Laptop(berth, tmp_path)
    post(berth, "/keys/", {"key": second.public, "name": "second"})
    assert second.run("ssh", desk, "id -un").stdout == b"berth\n"
    post(berth, f"/keys/{_key_id(berth, second)}/delete/", {})
    told = second.run("ssh", "-o", "BatchMode=no", desk, "id")
    assert (told.returncode, told.stdout) == (255, b"")
    assert b"was deleted there" in told.stderr
    assert f"{berth.url}/keys/".encode() in told.stderr


def test_what_the_page_shows_is_what_ssh_and_editors_take(
    berth: Berth, laptop: Laptop, desk: str, tmp_path: Path
) -> None:
    pk = desk.partition("@")[0].upper()
    page = berth.server.send("GET", "localhost", f"/workspaces/{pk}/", Cookie=berth.sign_in("scientist"))
    shown = html.unescape(page.body.decode())
    [(entry, host)] = re.findall(r"(Host (\S+)\n    HostName [^<]+)", shown)
    config = tmp_path / "config"
    config.write_text(f"{entry}\n{laptop.config.read_text()}")
    said = subprocess.run(["ssh", "-F", str(config), host, "id -un"], capture_output=True, timeout=60, check=False)
    assert said.stdout == b"berth\n", said.stderr
    assert f'href="vscode://vscode-remote/ssh-remote+{host}/home/berth"' in shown
    [command] = re.findall(r'value="(ssh -p [^"]+)"', shown)
    typed = [*shlex.split(command.replace("ssh", f"ssh -F {laptop.config}", 1)), "id -un"]
    assert subprocess.run(typed, capture_output=True, timeout=60, check=True).stdout == b"berth\n"


def test_a_stopped_workspace_says_so_and_an_open_connection_is_cut(berth: Berth, laptop: Laptop, desk: str) -> None:
    caller: Caller = berth.api("scientist")
    pk = desk.partition("@")[0].upper()
    open_one = laptop.start(desk, "sleep 1000")
    eventually(lambda: b"sleep 1000" in laptop.run("ssh", desk, "ps ax").stdout, "the command")
    caller.act(pk, "stop")
    caller.wait(pk, "stopped")
    assert open_one.wait(60) == 255 or open_one.returncode == 137
    told = laptop.run("ssh", desk, "id")
    assert (told.returncode, b"not running but stopped" in told.stderr) == (1, True)
    post(berth, f"/keys/{_key_id(berth, laptop)}/delete/", {})
    assert b"Permission denied" in laptop.run("ssh", desk, "id").stderr


def _key_id(berth: Berth, laptop: Laptop) -> str:
    listed = ["ssh-keygen", "-lf", str(laptop.folder / "key.pub")]
    fingerprint = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()[1]
    found = berth.api("scientist").do("GET", "/keys/")["results"]
    return next(str(key["id"]) for key in found if key["fingerprint"] == fingerprint)
