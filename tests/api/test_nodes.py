"""Devices in the API, and closing a node by it."""

from collections.abc import Callable
from typing import Any

import pytest

from portal.compute import devices
from portal.compute.models import GIB, Node
from runtimes.base import Gpu
from tests.api.conftest import Caller, assert_problem
from tests.conftest import People

pytestmark = pytest.mark.django_db


@pytest.fixture
def node(catalog: None) -> Node:
    node = Node.objects.get()
    devices.note(node, [*devices.declared({"a100": 2}), Gpu("GPU-1", "Mystery", 1, GIB)])
    return node


@pytest.fixture
def held(node: Node, make_workspace: Callable[..., Any], settle: Callable[..., None]) -> Any:
    made = make_workspace(size="gpu-1")
    settle()
    return made


def test_the_api_shows_devices_and_closes_nodes(caller: Callable[..., Caller], people: People, held: Any) -> None:
    ada = caller(people.ada)
    (found,) = ada.get("/nodes/").json()["results"]
    assert {gpu["uuid"]: (gpu["gpu_class"], gpu["state"], gpu["allocation"]) for gpu in found["gpus"]} == {
        "simulated-a100-0": ("a100", "held", held.allocation_id),
        "simulated-a100-1": ("a100", "free", None),
        "GPU-1": (None, "unknown", None),
    }
    closed = ada.post(f"/nodes/{found['id']}/cordon/", {"because": "new driver"})
    assert (closed.status_code, closed.json()["cordoned_because"]) == (202, "new driver")
    assert ada.post(f"/nodes/{found['id']}/uncordon/").json()["cordoned_at"] is None
    assert_problem(ada.post(f"/nodes/{found['id']}/cordon/", {"until": 1}), 422, "until")
    assert_problem(ada.post("/nodes/01ARZ3NDEKTSV4RRFFQ69G5FAV/cordon/", {}), 404)
    assert_problem(caller(people.vera).post(f"/nodes/{found['id']}/cordon/", {}), 403)


def test_sizes_say_which_gpus_they_have(caller: Callable[..., Caller], people: People, node: Node) -> None:
    sizes = {size["slug"]: size for size in caller(people.vera).get("/sizes/").json()["results"]}
    assert sizes["small"]["gpu"] is None
    assert sizes["gpu-2"]["gpu"] == {"class": "a100", "count": 2}
    assert sizes["gpu-2"]["price_per_hour"]["amount"] == "4.6800"
