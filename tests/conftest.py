"""Shared by all tests: people, teams, a catalog, and a fake engine that every process part in this test uses."""

import gc
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.db.models.signals import post_migrate
from django.test import Client
from xdist.scheduler import LoadScopeScheduling

from portal.celery import app
from portal.lib.ids import new_id

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
gc.set_threshold(100_000, 50, 50)  # a twentieth of the time of all tests went into looking for garbage
app.conf.update(broker_url="memory://")  # doorbells ring unheard; tests call what they would have rung

UNDIVIDED = ("e2e", "browser", "chaos", "deploy", "contract")
"""Folders whose tests share a Berth or an engine: one process runs them all. The longest come first.

The first of all runs beside the files of all other folders, for it waits long for images to be built.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = [UNDIVIDED[0], "", *UNDIVIDED[1:]]
    items.sort(key=lambda item: order.index(name if (name := item.path.parent.name) in order else ""))


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """A process that is done takes the next group: an undivided folder, or else a file."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        folder = Path(path).parent.name
        return folder if folder in UNDIVIDED else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    config.option.loadscopereorder = False
    return Groups(config, log)


class ToldAtOnce:
    """What fails is told when it fails, in a line: a long run may be ended before it tells all."""

    def __init__(self, config: pytest.Config) -> None:
        self.plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and (terminal := self.plugins.get_plugin("terminalreporter")):
            why = next((line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")), "")
            terminal.write_line(f"\n{report.nodeid} failed at {report.when}: {why}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ToldAtOnce(config))


QUICK_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def quick_settings(settings: Any) -> None:
    """Passwords hash fast, static files need no collecting, and what one test keeps in the cache no other finds."""
    settings.CACHES = {"default": settings.CACHES["default"] | {"KEY_PREFIX": new_id()}}
    settings.PASSWORD_HASHERS = QUICK_HASHERS
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


@pytest.fixture(scope="session", autouse=True)
def no_permissions() -> None:
    """Berth asks for none of Django's permissions: emptying all tables after a test need not write them again."""
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


@pytest.fixture
def standing_still() -> Iterator[None]:
    """However slow the machine, no time passes but what the test moves on."""
    from portal.lib import clock

    with clock.stopped():
        yield


@dataclass(frozen=True)
class People:
    """vera and luis are in team vision (luis leads it), oda is in team risk, ada is staff."""

    vera: Any
    luis: Any
    oda: Any
    ada: Any


def make_people() -> None:
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


@pytest.fixture(scope="session")
def left_by_people(django_db_setup: None, django_db_blocker: Any) -> Any:
    from tests.left import Left

    with django_db_blocker.unblock():
        return Left.by(make_people, PASSWORD_HASHERS=QUICK_HASHERS)


@pytest.fixture
def people(db: None, left_by_people: Any) -> People:
    from portal.accounts.models import User

    left_by_people.insert()
    return People(**{user.username: user for user in User.objects.filter(username__in=People.__annotations__)})


@pytest.fixture
def bo(people: People) -> Any:
    """Another plain member of team vision."""
    from portal.accounts.actions import add_member, create_user
    from portal.accounts.models import Role, Team

    made = create_user("bo", "Bo Lind", "correct-horse-battery", actor="test")
    add_member(Team.objects.get(slug="vision"), made, Role.MEMBER, actor="test")
    return made


@pytest.fixture(scope="session")
def catalog_files() -> Any:
    """The repository's own catalog, as read from its files."""
    from django.conf import settings

    from environments.catalog_files import read

    return read(settings.BASE_DIR / "catalog")


@pytest.fixture(scope="session")
def left_by_catalog(catalog_files: Any, django_db_setup: None, django_db_blocker: Any) -> Any:
    from environments import catalog as publishing
    from environments.models import Image
    from portal.compute.models import GIB, Node
    from tests.left import Left

    def publish() -> None:
        publishing.apply(deepcopy(catalog_files), actor="test")
        Image.objects.update(state="ready", digest="sha256:" + "a" * 64, size=GIB)
        room = {"cpu": Decimal(64), "memory": 256 * GIB}
        Node.objects.create(
            name="fake", runtime="fake", **room, **{f"schedulable_{name}": amount for name, amount in room.items()}
        )

    with django_db_blocker.unblock():
        return Left.by(publish)


@pytest.fixture
def catalog(db: None, left_by_catalog: Any) -> None:
    """It is published, its images are ready, and one node, seen just now, has room."""
    from portal.compute.models import Node
    from portal.lib import clock

    left_by_catalog.insert()
    Node.objects.update(seen_at=clock.now())


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine behind portal.compute; its applications answer at once."""
    from django.conf import settings

    from portal.compute import activity, probe, reconcile
    from portal.compute.agent import watching
    from portal.lib import clock
    from runtimes.fake import FakeRuntime
    from runtimes.fake_engine import FakeEngine

    engine = FakeEngine(clock=clock.now)
    driver = FakeRuntime(settings.INSTANCE, engine)
    for module in (activity, reconcile, watching):
        monkeypatch.setattr(module, "runtime", lambda: driver)
    monkeypatch.setattr(probe, "answers", lambda allocation: True)
    engine.driver = driver  # type: ignore[attr-defined]
    return engine


MOVES = ("pk", "phase", "desired", "generation", "frozen_at", "unknown_since", "log_state", "message", "progress")
"""What changes of an allocation when something was left to do."""


@pytest.fixture
def make_workspace(people: People, catalog: None) -> Callable[..., Any]:
    """Create (and queue) a workspace through the action."""
    from environments import actions
    from environments.launch import Launch

    def make(owner: Any = None, **values: Any) -> Any:
        owner = owner or people.vera
        return actions.create(owner, Launch(**({"template": "jupyter-python"} | values)), actor=owner.username)

    return make


@pytest.fixture
def settle(fake_engine: Any) -> Callable[..., None]:
    """What workers and agent do until nothing is left to do, for as many rounds at most."""

    def run(rounds: int = 6) -> None:
        from portal.compute import admission
        from portal.compute.models import Allocation
        from portal.compute.reconcile import reconcile

        rows = Allocation.objects.order_by("pk")

        def moved() -> Any:
            return list(rows.values_list(*MOVES)), deepcopy(fake_engine.containers)

        for _ in range(rounds):
            before = moved()
            admission.admit()
            for pk in rows.filter(next_look_at__isnull=False).values_list("pk", flat=True):
                reconcile(pk)
            if before == moved():
                break

    return run


@pytest.fixture
def signed_in(client: Client, people: People) -> Callable[[Any], Client]:
    def sign_in(user: Any) -> Client:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
