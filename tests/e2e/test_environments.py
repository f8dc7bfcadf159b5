"""Every standard environment, in a real container behind the real gateway, on an origin of its own and below a path."""

import http.client
import json

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.callers import Caller
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

STARTING = 120
WORDS = {
    "jupyter-python": ("/lab", b"JupyterLab"),
    "jupyter-datascience": ("/lab", b"JupyterLab"),
    "vscode": ("/?folder=/home/berth", b"vscode-workbench-web-configuration"),
    "streamlit": ("/", b"Streamlit"),
    "shiny": ("/", b"Hello from your workspace"),
    "tensorboard": ("/", b"TensorBoard"),
    "mlflow": ("/", b"MLflow"),
}
"""Where each shows itself, and a word that its page has."""
SOCKETS = {
    "jupyter-python": "/api/events/subscribe",
    "streamlit": "/_stcore/stream",
    "shiny": "/websocket/",
}


@pytest.fixture(scope="module")
def berth(either_berth: Berth) -> Berth:
    return either_berth


def launched(caller: Caller, template: str) -> str:
    pk = caller.launch(template, "small")
    caller.wait(pk, "running", seconds=STARTING)
    return pk


def directly(berth: Berth, caller: Caller, pk: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """As a neighbour would ask who got past the gateway: at the container's own address."""
    found = caller.workspace(pk)
    name = berth.container(found)
    port = berth.engine.run("inspect", "--format", '{{index .Config.Labels "berth.port"}}', name).strip()
    connection = http.client.HTTPConnection(berth.engine.address_of(name), int(port), timeout=10)
    connection.request("GET", berth.server.place(pk, path)[1] if berth.server.by_path else path, headers=headers)
    return connection.getresponse()


@pytest.mark.parametrize("template", WORDS)
def test_it_starts_shows_its_page_and_lets_in_only_the_gateway(berth: Berth, scientist: Caller, template: str) -> None:
    pk = launched(scientist, template)
    path, word = WORDS[template]
    shown = scientist.visit(pk, path)
    assert shown.status == 200, shown
    assert word in shown.body
    assert Caller(berth.server, "").visit(pk, path, Authorization="").status == 401
    assert directly(berth, scientist, pk, path).status in (302, 403)
    if template in SOCKETS:
        assert_a_socket_opens(berth, scientist, pk, SOCKETS[template])
    berth.assert_invariants()


def assert_a_socket_opens(berth: Berth, caller: Caller, pk: str, path: str) -> None:
    host, below = berth.server.place(pk, path)
    place = f"{host}:{berth.server.port}"
    with connect(
        f"ws://{place}{below}",
        address=(berth.server.address, berth.server.port),
        origin=Origin(f"http://{place}"),
        additional_headers=caller.authorization,
        proxy=None,
    ) as connection:
        assert connection.response is not None
        assert connection.response.status_code == 101


def test_the_front_lets_nobody_in_without_the_secret_and_tells_berth_only_whether_it_is_ready(
    berth: Berth, scientist: Caller
) -> None:
    pk = launched(scientist, "streamlit")
    refused = directly(berth, scientist, pk, "/")
    assert (refused.status, refused.read()) == (403, b"Open this workspace from Berth.\n")
    assert directly(berth, scientist, pk, "/", **{"X-Berth-Secret": "0" * 64}).status == 403
    assert directly(berth, scientist, pk, "/.berth/ready").status == 200
    assert scientist.visit(pk, "/.berth/ready").status == 404
    code = "import glob; print(*[open(f).read() for f in glob.glob('/proc/[0-9]*/cmdline')])"
    assert secret_of(berth, scientist, pk) not in berth.inside(scientist.workspace(pk), code)


def secret_of(berth: Berth, caller: Caller, pk: str) -> str:
    form = "{{json .Config.Env}}"
    found = json.loads(berth.engine.run("inspect", "--format", form, berth.container(caller.workspace(pk))))
    return str(next(line for line in found if line.startswith("BERTH_SECRET=")).partition("=")[2])


def test_a_parameter_chooses_what_a_web_app_serves(berth: Berth, scientist: Caller) -> None:
    body = {"template": "streamlit", "size": "small", "parameters": {"file": "apps/sales.py"}}
    pk = str(scientist.do("POST", "/workspaces/", body)["id"])
    scientist.wait(pk, "running", seconds=STARTING)
    code = "import os; print(os.path.exists('/home/berth/apps/sales.py'))"
    assert berth.inside(scientist.workspace(pk), code).strip() == "True"
    bad = scientist.send("POST", "/workspaces/", body | {"parameters": {"file": "--server.port=1"}})
    assert (bad.status, list(bad.json["errors"])) == (422, ["parameters.file"])


@pytest.mark.parametrize("template", ["jupyter-datascience", "vscode"])
def test_r_computes_and_packages_of_ones_own_go_home(berth: Berth, scientist: Caller, template: str) -> None:
    name = berth.container(scientist.workspace(launched(scientist, template)))
    code = "library(data.table); cat(data.table(x = 1:100)[, sum(x)], .libPaths()[1])"
    said = berth.engine.run("exec", name, "Rscript", "-e", code)
    assert said.startswith("5050 /home/berth/R/")
