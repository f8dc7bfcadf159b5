"""Files put in through the portal while a workspace is stopped are in the real container after its start."""

import hashlib
import http.client
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.callers import Caller, Unready, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

GB = 1024**3
PIECE = 8 * 1024**2
LARGE = 5 * GB
"""What is sent over HTTP for real."""
ROOM = LARGE + GB // 2
"""It lies on the disk once, because nothing on its way keeps a copy. The rest is for what runs beside."""


class Browser:
    """Somebody signed in, with the token that forms carry."""

    def __init__(self, berth: Berth, user: str) -> None:
        self._berth = berth
        self._cookies = berth.sign_in(user)
        self._token = self._cookies.partition("berth-csrf=")[2].partition(";")[0]

    def headers(self, **more: str) -> dict[str, str]:
        ours = {
            "Host": f"localhost:{self._berth.server.port}",
            "Cookie": self._cookies,
            "X-CSRFToken": self._token,
            "Origin": self._berth.url,
        }
        return ours | {name.replace("_", "-"): value for name, value in more.items()}

    def ask(self, method: str, path: str, body: bytes | None = None, **more: str) -> http.client.HTTPResponse:
        connection = self._berth.server.connect()
        connection.request(method, path, body, self.headers(**more))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def begin(self, key: str, name: str, length: int) -> str:
        told = f"filename {b64encode(name.encode()).decode()}"
        made = self.ask("POST", f"/files/{key}/upload/", Upload_Length=str(length), Upload_Metadata=told)
        assert made.status == 201
        return made.headers["Location"]

    def piece(self, url: str, at: int, content: bytes) -> int:
        kind = "application/offset+octet-stream"
        answer = self.ask("PATCH", url, content, Upload_Offset=str(at), Content_Type=kind)
        assert answer.status == 204, answer.status
        return int(answer.headers["Upload-Offset"])

    def offset(self, url: str) -> int:
        answer = self.ask("HEAD", url)
        if answer.status != 200:
            raise Unready(answer.status)
        return int(answer.headers["Upload-Offset"])

    def put(self, key: str, name: str, content: bytes) -> None:
        assert self.piece(self.begin(key, name, len(content)), 0, content) == len(content)

    @contextmanager
    def half_a_piece(self, url: str, at: int, content: bytes) -> Iterator[None]:
        """More is announced than comes, and then the connection breaks."""
        connection = self._berth.server.connect()
        connection.putrequest("PATCH", url, skip_host=True)
        told = {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
        for name, value in {**self.headers(), **told, "Content-Length": str(PIECE)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(content)
        yield
        connection.close()


@pytest.fixture
def browser(berth: Berth, scientist: Caller) -> Browser:
    """Of somebody whose folders are there, because a workspace has run and stopped."""
    pk = scientist.running()
    scientist.act(pk, "stop")
    scientist.wait(pk, "stopped")
    return Browser(berth, "scientist")


def pattern(at: int) -> bytes:
    """Each piece is another, so that none can take another's place."""
    return hashlib.sha256(str(at).encode()).digest() * (PIECE // 32)


def test_a_file_put_while_stopped_is_in_the_container(berth: Berth, scientist: Caller, browser: Browser) -> None:
    for key in ("home", "team-vision"):
        browser.put(key, "put here.txt", f"for {key}".encode())
    pk = scientist.running()
    code = "import os; print([(open(f).read(), os.stat(f).st_uid, os.access(f, os.W_OK)) for f in {}])"
    files = ["/home/berth/put here.txt", "/home/vision/put here.txt"]
    found = berth.inside(scientist.workspace(pk), code.format(files)).strip()
    assert found == "[('for home', 1000, True), ('for team-vision', 1000, True)]"
    made = "open('/home/vision/made inside', 'w').write('by the workspace')"
    berth.inside(scientist.workspace(pk), made)
    lead = Browser(berth, "lead")
    assert lead.ask("GET", "/files/team-vision/download/made%20inside").status == 200
    assert Browser(berth, "outsider").ask("GET", "/files/team-vision/download/made%20inside").status == 404


def must_have_room(berth: Berth) -> None:
    place = berth.engine.run("info", "--format", "{{.DockerRootDir}}").strip()
    free = shutil.disk_usage(place).free
    if free < ROOM:
        pytest.fail(
            f"An upload of 5 GB is tested for real: {place} needs {ROOM / GB} GB free and has {free / GB:.1f} GB."
        )


def test_a_large_upload_goes_on_after_a_lost_connection_and_a_killed_process(
    berth: Berth, scientist: Caller, browser: Browser
) -> None:
    must_have_room(berth)
    url, at = browser.begin("home", "large.bin", LARGE), 0
    third = LARGE // 3 // PIECE * PIECE
    while at < LARGE:
        if at == third:
            with browser.half_a_piece(url, at, pattern(at)[: PIECE // 2]):
                eventually(lambda: browser.offset(url) > third, "the part that came")
            eventually(lambda: browser.offset(url) == third + PIECE // 2, "all that came")
            at = browser.piece(url, third + PIECE // 2, pattern(third)[PIECE // 2 :])
        elif at == 2 * third:
            berth.kill("files")()
            eventually(lambda: browser.offset(url) == 2 * third, "the new process")
            at = browser.piece(url, at, pattern(at))
        else:
            at = browser.piece(url, at, pattern(at)[: LARGE - at])
    assert browser.ask("HEAD", url).status == 404
    pk = scientist.running()
    check = (
        "import hashlib, os; f = open('/home/berth/large.bin', 'rb'); size = os.fstat(f.fileno()).st_size; "
        f"piece = {PIECE}; "
        "bad = [at for at in range(0, size, piece) if f.read(piece)[:32] != hashlib.sha256(str(at).encode()).digest()];"
        "print(size, bad)"
    )
    assert berth.inside(scientist.workspace(pk), check).strip() == f"{LARGE} []"
    berth.inside(scientist.workspace(pk), "import os; os.remove('/home/berth/large.bin')")


KEPT = """
from environments.models import Volume
from portal.usage.models import UsageInterval
home = Volume.objects.get(kind="home", owner__username="scientist", delete_requested_at=None)
print(*UsageInterval.objects.filter(allocation_id=home.pk, ended_at=None).values_list("quantity", flat=True))
"""
TAKEN = """
import os
paths = (os.path.join(at, name) for at, _, names in os.walk("/home/berth") for name in names)
print(sum(os.lstat(path).st_blocks for path in paths) * 512)
"""
WRITE = "import os; f = open('/home/berth/model.bin', 'wb'); [f.write(os.urandom(1024**2)) for _ in range(300)]"


def test_what_a_home_takes_is_in_the_ledger_as_it_was_measured(
    berth: Berth, scientist: Caller, browser: Browser
) -> None:
    pk = scientist.running()

    def inside(code: str) -> str:
        return berth.inside(scientist.workspace(pk), code)

    def measured(name: str) -> float:
        """In GiB, once the ledger says what the container sees."""
        browser.put("home", name, b"measure me")
        taken = int(inside(TAKEN)) / GB
        eventually(lambda: abs(kept() - taken) < 0.02, f"{taken} GiB", 60)
        return taken

    def kept() -> float:
        return sum(map(float, berth.manage("shell", "-v", "0", "-c", KEPT).split()))

    before = measured("one.txt")
    inside(WRITE)
    assert measured("two.txt") > before + 0.25
    inside("import os; os.remove('/home/berth/model.bin')")
    assert measured("three.txt") < before + 0.05
    held = scientist.do("GET", "/usage/?group_by=kind")["results"]
    assert [row["storage_gib_seconds"] > 0 for row in held if row["group"]["kind"] == "files"] == [True]
    berth.assert_invariants()


FIRST_BUILD = 900
HOME = """
from environments.models import Volume
from portal.accounts.models import User
Volume.objects.create(owner=User.objects.get(username="outsider"), engine_name={name!r})
"""


def test_a_full_home_does_not_keep_jupyterlab_from_starting(berth: Berth, outsider: Caller) -> None:
    name = f"berth-{berth.instance}-home-full"
    options = ["type=tmpfs", "device=tmpfs", "o=nr_inodes=1,uid=1000,gid=1000,mode=755"]  # not one file fits
    given = [part for option in options for part in ("--opt", option)]
    berth.engine.run("volume", "create", "--label", f"berth.instance={berth.instance}", *given, name)
    berth.manage("shell", "-c", HOME.format(name=name))
    pk = outsider.launch("jupyter-python", "small")
    outsider.wait(pk, "running", seconds=FIRST_BUILD)
    assert outsider.visit(pk, "/api").status == 200
    code = (
        "import errno, os\ntry: open('/home/berth/x', 'w')\nexcept OSError as error: print(error.errno == errno.ENOSPC)"
    )
    assert berth.inside(outsider.workspace(pk), code).strip() == "True"
