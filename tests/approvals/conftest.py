"""Shared by the tests of approvals: two A100, browsers for each person, and what they press."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from portal.compute import devices
from portal.compute.models import Node
from portal.lib import clock
from portal.notices.models import Notice
from portal.quotas.models import QuotaRequest
from tests.conftest import People

SignIn = Callable[[Any], Client]


@pytest.fixture
def signed_in(people: People) -> SignIn:
    """A browser of each one's own."""

    def enter(user: Any) -> Client:
        client = Client()
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
        return client

    return enter


@pytest.fixture
def node(catalog: None) -> Node:
    """Two A100; one for each person and four for each team unasked."""
    node = Node.objects.get()
    devices.note(node, devices.declared({"a100": 2}))
    return node


def asked(client: Client, **changes: Any) -> Any:
    values = {
        "gpu_class": "a100",
        "count": 1,
        "scope": "me",
        "team": "vision",
        "ends_on": (clock.now().date() + timedelta(days=7)).isoformat(),
        "justification": "Ablations for the review.",
    }
    return client.post("/quota/ask/", values | changes)


@pytest.fixture
def wish(people: People, node: Node, signed_in: SignIn) -> QuotaRequest:
    """Vera asks for one A100 more."""
    assert asked(signed_in(people.vera)).status_code == 302
    return QuotaRequest.objects.get()


def decide(client: Client, wish: QuotaRequest, do: str, **values: Any) -> Any:
    return client.post(f"/quota/requests/{wish.pk}/decide/", {"version": wish.version, "do": do, **values})


def told(user: Any) -> list[str]:
    return list(Notice.objects.filter(user=user).order_by("pk").values_list("text", flat=True))
