"""The live stream: names only, for who may see them, and nothing without Redis but silence."""

import pytest
from asgiref.sync import async_to_sync
from django.core.signing import BadSignature
from django.test import AsyncClient, Client

from portal.live import topics
from portal.live.stream import event
from tests.conftest import People


def test_topics_are_good_for_their_user_only() -> None:
    token = topics.sign("vera", ["workspace-1"])
    assert topics.read("vera", token) == ["workspace-1"]
    for user, forged in (("oda", token), ("vera", token[:-1]), ("vera", "")):
        with pytest.raises(BadSignature):
            topics.read(user, forged)


def test_an_event_is_a_name() -> None:
    assert event("workspace-1") == b"event: workspace-1\ndata: 1\n\n"


@pytest.mark.django_db(transaction=True)
def test_strangers_get_no_stream(people: People) -> None:
    client = AsyncClient()
    assert async_to_sync(client.get)("/live/?topics=x").status_code == 401
    client.force_login(people.oda, backend="django.contrib.auth.backends.ModelBackend")
    foreign = topics.sign(people.vera.pk, ["workspace-1"])
    assert async_to_sync(client.get)(f"/live/?topics={foreign}").status_code == 403


@pytest.mark.django_db
def test_health(client: Client) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["database"] == "ok"
    assert ready.json()["worker"] == "not answering"
