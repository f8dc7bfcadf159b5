"""The GPU board: what is free and who holds what, told to each as far as they may know; and closing a node."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from portal.accounts.actions import add_member
from portal.accounts.models import Role, Team
from portal.audit.models import AuditEvent
from portal.compute import devices
from portal.compute.models import GIB, Node
from portal.quotas.models import GpuClass
from runtimes.base import Gpu
from tests.conftest import People

pytestmark = pytest.mark.django_db
SignIn = Callable[[Any], Client]


@pytest.fixture
def node(catalog: None) -> Node:
    GpuClass.objects.update(each_person=None, each_team=None)
    node = Node.objects.get()
    real = Gpu("GPU-1", "NVIDIA L4", 0, 24 * GIB, 0.41)
    devices.note(node, [*devices.declared({"a100": 2}), real, Gpu("GPU-2", "Mystery", 1, GIB)])
    return node


@pytest.fixture
def held(node: Node, make_workspace: Callable[..., Any], settle: Callable[..., None]) -> Any:
    made = make_workspace(size="gpu-1", name="churn")
    settle()
    return made


def board(client: Client, query: str = "") -> str:
    answer = client.get(f"/gpus/{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_each_device_says_what_it_is_doing(signed_in: SignIn, people: People, held: Any) -> None:
    shown = board(signed_in(people.vera))
    assert "2 A100 and 1 L4 on 1 node: 1 in use, 2 free." in shown
    assert "<b>Vera Rosén</b>" in shown
    assert f'<a href="/workspaces/{held.pk}/">churn</a>' in shown
    assert "41 %" in shown
    assert "No class of the catalog names “Mystery”." in shown
    assert shown.count(">simulated<") == 2
    assert "Nothing waits" in shown


def test_names_are_told_within_a_team_and_to_administrators(signed_in: SignIn, people: People, held: Any) -> None:
    stranger = board(signed_in(people.oda))
    assert "Team Vision" in stranger
    assert "Vera" not in stranger
    assert "churn" not in stranger
    admin = board(signed_in(people.ada))
    assert "Vera Rosén" in admin
    assert f"/workspaces/{held.pk}/" not in admin  # they have no right to look at it
    assert f'<a href="/workspaces/{held.pk}/">churn</a>' in board(signed_in(people.luis))  # who leads the team


def test_a_part_of_the_devices_can_be_shown(signed_in: SignIn, people: People, held: Any) -> None:
    client = signed_in(people.vera)
    assert "A100 #1" not in board(client, "?show=mine")
    assert "A100 #0" not in board(client, "?show=free")
    assert "A100 #1" in board(client, "?show=nonsense")
    assert "Your teams hold no GPU" in board(signed_in(people.oda), "?show=mine")


def test_the_queue_says_who_is_next_and_why(
    signed_in: SignIn, people: People, held: Any, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    make_workspace(size="gpu-2", name="pair")
    settle()
    shown = board(signed_in(people.vera))
    assert "<td>2 × A100</td>" in shown
    assert "Needs 2 × A100, 2 cores and 8 GB; 1 × A100," in shown
    assert "pair" not in board(signed_in(people.oda))
    devices.note(Node.objects.get(), devices.declared({"a100": 1}))
    assert "Never: the largest node has 1 × A100. Change its size." in board(signed_in(people.vera))


def test_the_board_asks_a_fixed_number_of_questions(
    signed_in: SignIn,
    people: People,
    node: Node,
    make_workspace: Callable[..., Any],
    settle: Callable[..., None],
    django_assert_num_queries: Any,
) -> None:
    client = signed_in(people.vera)
    make_workspace(size="gpu-1")
    make_workspace(size="gpu-2")
    settle()
    board(client)
    with django_assert_num_queries(22):
        board(client)
    make_workspace(size="gpu-1")
    for _ in range(3):
        make_workspace(size="gpu-2")
    settle()
    with django_assert_num_queries(22):
        board(client)


def test_a_board_without_devices_teaches(signed_in: SignIn, people: People, catalog: None) -> None:
    assert "No node has a GPU" in board(signed_in(people.vera))


def test_an_administrator_closes_a_node_and_opens_it(signed_in: SignIn, people: People, node: Node) -> None:
    path = f"/nodes/{node.pk}/cordon/"
    assert signed_in(people.vera).post(path, {"closed": "yes"}).status_code == 403
    admin = signed_in(people.ada)
    assert admin.get(path).status_code == 405
    admin.post(path, {"closed": "yes", "because": "new driver"})
    admin.post(path, {"closed": "yes", "because": "again"})
    node.refresh_from_db()
    assert (node.cordoned_at is not None, node.cordoned_because) == (True, "new driver")
    assert "Closed: it takes nothing new." in board(admin)
    admin.post(path, {"closed": "no"})
    node.refresh_from_db()
    assert node.cordoned_at is None
    assert list(AuditEvent.objects.filter(verb__startswith="node.").values_list("verb", "actor")) == [
        ("node.cordon", "ada"),
        ("node.uncordon", "ada"),
    ]
    assert admin.post("/nodes/nothing/cordon/", {"closed": "yes"}).status_code == 404


def test_who_is_in_two_teams_sees_the_names_of_both(signed_in: SignIn, people: People, held: Any) -> None:
    add_member(Team.objects.get(slug="vision"), people.oda, Role.MEMBER, actor="test")
    shown = board(signed_in(people.oda))
    assert "Vera Rosén" in shown
    assert f"/workspaces/{held.pk}/" not in shown
