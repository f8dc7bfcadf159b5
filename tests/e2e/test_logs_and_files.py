"""Log lines and home folders outlive the containers that wrote them."""

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.callers import Caller, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

LINES = 3000


def test_every_line_is_kept_once_and_numbered(scientist: Caller) -> None:
    pk = scientist.running()
    scientist.visit(pk, f"/log?lines={LINES}")
    wanted = ["hello", "ready", *(f"line {number}" for number in range(1, LINES + 1))]
    eventually(lambda: [line["line"] for line in scientist.log(pk, "?tail=1")] == wanted[-1:], "the last line")
    scientist.act(pk, "stop")
    scientist.wait(pk, "stopped")
    eventually(lambda: scientist.do("GET", f"/workspaces/{pk}/logs/")["state"] == "complete", "the end of the log")
    found = all_lines(scientist, pk)
    assert [line["line"] for line in found] == [*wanted, "bye"]
    assert [line["seq"] for line in found] == list(range(1, len(found) + 1))


def all_lines(caller: Caller, pk: str) -> list[dict[str, object]]:
    """Page by page."""
    found: list[dict[str, object]] = []
    while page := caller.log(pk, f"?after={len(found)}"):
        found += page
    return found


def test_lines_arrive_live_and_a_reader_that_comes_back_misses_none(berth: Berth, scientist: Caller) -> None:
    pk = scientist.running()
    eventually(lambda: len(scientist.log(pk)) == 2, "the first lines")
    with live_frames(berth, pk, after=0) as frames:
        assert next(frames) == [[1, "hello"], [2, "ready"]]
        scientist.visit(pk, "/log?lines=2")
        assert next(frames) == [[3, "line 1"], [4, "line 2"]]
    scientist.visit(pk, "/log?lines=1")
    eventually(lambda: len(scientist.log(pk)) == 5, "the line that nobody read live")
    with live_frames(berth, pk, after=4) as frames:
        assert next(frames) == [[5, "line 1"]]


@contextmanager
def live_frames(berth: Berth, pk: str, after: int) -> Iterator[Iterator[list[list[object]]]]:
    """Numbers and texts of each frame of a live log, read as a browser that is signed in reads them."""
    connection = berth.server.connect()
    headers = {"Host": f"localhost:{berth.server.port}", "Cookie": berth.sign_in("scientist")}
    connection.request("GET", f"/live/logs/{pk}/", headers=headers | {"Last-Event-ID": str(after)})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    try:
        yield _frames(answer)
    finally:
        connection.close()


ROW = re.compile(r'id="L(\d+)".*<span class="log-text">(.*)</span></div>')


def _frames(answer: http.client.HTTPResponse) -> Iterator[list[list[object]]]:
    for row in answer:
        if row.startswith(b"data: {"):
            yield [[int(seq), text] for seq, text in ROW.findall(json.loads(row[6:])["rows"])]


def test_a_wild_log_is_kept_line_by_line_also_when_its_collector_is_killed(berth: Berth, scientist: Caller) -> None:
    pk = scientist.running()
    scientist.visit(pk, f"/noise?lines={NOISE}")
    eventually(lambda: [x for x in scientist.log(pk, "?tail=1") if x["seq"] > NOISE // 10], "the first lines", 120)
    for _ in range(2):
        berth.kill("agent")()
    eventually(
        lambda: [line["line"] for line in scientist.log(pk, "?tail=1")] == ["noise is over"], "the last line", 120
    )
    wanted = ["hello", "ready", *(text for number in range(NOISE) for text in noise_lines(number)), "noise is over"]
    found = all_lines(scientist, pk)
    assert [line["seq"] for line in found] == list(range(1, len(found) + 1))
    assert [line["line"] for line in found] == wanted


NOISE = 225_000
"""Makes 300,000 lines, in less than the 60 MB that the engine keeps for a collector that is away."""


def noise_lines(number: int) -> list[str]:
    """What becomes of `noise` in tests/e2e/images/tiny/tiny.py."""
    return {
        0: [f"line {number}"],
        1: [f"{number}: {percent}%" for percent in (10, 60, 100)],
        2: [f"\x1b[3{number % 8}mline\x1b[0m {number}"],
        3: [f"line {number}"],
        4: [f"\ufffd\ufffd {number}"],
        5: [f"<script>alert({number})</script>"],
    }[number % 6]


WRITE = "open('/home/berth/kept', 'w').write('mine'); print(open('/home/berth/kept').read())"
READ = "import os; print(open('/home/berth/kept').read() if os.path.exists('/home/berth/kept') else 'nothing')"


def test_the_home_survives_stop_restart_and_delete_until_it_is_asked_to_go(berth: Berth, scientist: Caller) -> None:
    pk = scientist.running()
    assert berth.inside(scientist.workspace(pk), WRITE).strip() == "mine"
    before = berth.container(scientist.workspace(pk))
    scientist.act(pk, "restart")
    eventually(lambda: berth.container(scientist.workspace(pk)) not in ("", before), "the second container")
    scientist.wait(pk, "running")
    assert berth.inside(scientist.workspace(pk), READ).strip() == "mine"
    scientist.act(pk, "stop")
    scientist.wait(pk, "stopped")
    scientist.act(pk, "start")
    scientist.wait(pk, "running")
    assert berth.inside(scientist.workspace(pk), READ).strip() == "mine"
    scientist.do("DELETE", f"/workspaces/{pk}/")
    other = scientist.running()
    assert berth.inside(scientist.workspace(other), READ).strip() == "mine"
    scientist.do("DELETE", f"/workspaces/{other}/?volumes=delete")
    label = f"label=berth.instance={berth.instance}"
    home = berth.engine.run("volume", "ls", "--filter", label, "--format", "{{.Name}}").split()
    eventually(
        lambda: home != berth.engine.run("volume", "ls", "--filter", label, "--format", "{{.Name}}").split(),
        "the removal of the home",
    )
    third = scientist.running()
    assert berth.inside(scientist.workspace(third), READ).strip() == "nothing"
