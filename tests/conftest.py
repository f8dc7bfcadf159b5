"""Shared by all tests: people, teams, a catalog, and a fake engine that every process part in this test uses."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from portal.celery import app

app.conf.update(broker_url="memory://")  # doorbells ring unheard; tests call what they would have rung


@pytest.fixture(autouse=True)
def quick_settings(settings: Any) -> None:
    """Passwords hash fast, and static files need no collecting."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


@dataclass(frozen=True)
class People:
    """vera and luis are in team vision (luis leads it), oda is in team risk, ada is staff."""

    vera: Any
    luis: Any
    oda: Any
    ada: Any


@pytest.fixture
def people(db: None) -> People:
    from portal.accounts.actions import add_member, create_team, create_user
    from portal.accounts.models import Role

    vision = create_team("vision", "Vision", actor="test")
    risk = create_team("risk", "Risk", actor="test")
    made = {
        name: create_user(name, full, "correct-horse-battery", staff=name == "ada", actor="test")
        for name, full in {"vera": "Vera Rosén", "luis": "Luis Okafor", "oda": "Oda Berg", "ada": "Ada Admin"}.items()
    }
    add_member(vision, made["vera"], Role.MEMBER, actor="test")
    add_member(vision, made["luis"], Role.LEAD, actor="test")
    add_member(risk, made["oda"], Role.MEMBER, actor="test")
    return People(**made)


@pytest.fixture
def catalog(db: None) -> None:
    """The repository's own catalog, with its image ready and one node that has room."""
    from django.conf import settings

    from environments import catalog as publishing
    from environments.catalog_files import read
    from environments.models import Image
    from portal.compute.models import GIB, Node

    publishing.apply(read(settings.BASE_DIR / "catalog"), actor="test")
    Image.objects.update(state="ready", digest="sha256:" + "a" * 64, size=GIB)
    Node.objects.create(
        name="fake",
        runtime="fake",
        cpu=Decimal(64),
        memory=256 * GIB,
        schedulable_cpu=Decimal(64),
        schedulable_memory=256 * GIB,
    )


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine behind portal.compute; its applications answer at once."""
    from django.conf import settings

    from portal.compute import probe, reconcile
    from portal.compute.agent import watching
    from portal.lib import clock
    from runtimes.fake import FakeEngine, FakeRuntime

    engine = FakeEngine(clock=clock.now)
    driver = FakeRuntime(settings.INSTANCE, engine)
    for module in (reconcile, watching):
        monkeypatch.setattr(module, "runtime", lambda: driver)
    monkeypatch.setattr(probe, "answers", lambda allocation: True)
    engine.driver = driver  # type: ignore[attr-defined]
    return engine


@pytest.fixture
def make_workspace(people: People, catalog: None) -> Callable[..., Any]:
    """Create (and queue) a workspace through the action."""
    from environments import actions

    def make(owner: Any = None, **values: Any) -> Any:
        owner = owner or people.vera
        return actions.create(owner, **({"template": "jupyter-python", "actor": owner.username} | values))

    return make


@pytest.fixture
def settle(fake_engine: Any) -> Callable[..., None]:
    """What workers and agent do until nothing is left to do."""

    def run(rounds: int = 6) -> None:
        from portal.compute import admission
        from portal.compute.models import Allocation
        from portal.compute.reconcile import reconcile

        for _ in range(rounds):
            admission.admit()
            for pk in Allocation.objects.filter(next_look_at__isnull=False).values_list("pk", flat=True):
                reconcile(pk)

    return run


@pytest.fixture
def signed_in(client: Client, people: People) -> Callable[[Any], Client]:
    def sign_in(user: Any) -> Client:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
