"""`/metrics`: what Prometheus is told, who may ask, and that the dashboard asks for nothing else."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments import actions
from portal.accounts.actions import create_token
from portal.accounts.states import SCOPES
from portal.administration.metrics import metrics
from portal.compute import ticking
from portal.compute.models import Allocation, GpuDevice, GpuHold, Node
from portal.lib import clock
from portal.quotas.models import GpuClass
from portal.usage.models import UsageInterval
from tests.conftest import People

pytestmark = pytest.mark.django_db
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
FOLDER = settings.BASE_DIR / "deploy" / "grafana"


def ask(user: Any, scopes: tuple[str, ...] = SCOPES) -> Any:
    secret = create_token(user, "prometheus", list(scopes), 1, actor="test").secret
    return Client().get("/metrics", headers={"Authorization": f"Bearer {secret}", "Accept": PROMETHEUS})


def told(people: People) -> dict[str, float]:
    """Value by name and labels."""
    lines = ask(people.ada).content.decode().splitlines()
    samples = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    found = {name: float(value) for name, _, value in samples}
    assert len(found) == len(samples)
    return found


def test_it_is_for_administrators_with_the_scope(people: People) -> None:
    answer = ask(people.ada, ("admin:read",))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert ask(people.ada, ("usage:read",)).status_code == 403
    assert ask(people.luis).status_code == 403
    assert Client().get("/metrics").status_code == 401
    signed_in = Client()
    signed_in.force_login(people.ada, "django.contrib.auth.backends.ModelBackend")
    assert signed_in.get("/metrics").status_code == 401
    assert signed_in.post("/metrics").status_code in (401, 405)


def test_nothing_yet_is_told_as_nothing(people: People) -> None:
    found = told(people)
    assert found['berth_allocations{phase="pending"}'] == found["berth_queue_length"] == 0
    assert found["berth_queue_oldest_wait_seconds"] == 0
    (build,) = (name for name in found if name.startswith("berth_build_info"))
    assert 'version="0.1.0"' in build


def test_what_runs_what_waits_and_what_it_costs(
    people: People, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    running, ended = make_workspace(), make_workspace(people.oda)
    make_workspace(people.oda)
    settle()
    actions.stop(ended, actor="test")
    settle()
    Node.objects.update(cordoned_at=clock.now())
    make_workspace()
    Allocation.objects.filter(phase="pending").update(created_at=clock.now() - timedelta(hours=2))
    found = told(people)
    assert (
        found.items()
        >= {
            'berth_allocations{phase="pending"}': 1,
            'berth_allocations{phase="running"}': 2,
            'berth_allocations{phase="stopping"}': 0,
            'berth_running{team="vision",kind="workspace"}': 1,
            'berth_running{team="risk",kind="workspace"}': 1,
            'berth_allocations_ended_total{kind="workspace",reason="stopped"}': 1,
            "berth_queue_length": 1,
            'berth_node_up{node="fake"}': 1,
            'berth_node_cordoned{node="fake"}': 1,
        }.items()
    )
    assert 7200 <= found["berth_queue_oldest_wait_seconds"] < 7800
    hourly = sum(
        row.quantity * row.price_per_hour for row in UsageInterval.objects.filter(owner_id=running.pk, ended_at=None)
    )
    assert hourly > 0
    assert Decimal(str(found['berth_cost_per_hour{team="vision",currency="EUR"}'])) == hourly


def test_nodes_gpus_and_processes(people: People, make_workspace: Callable[..., Any]) -> None:
    node = Node.objects.get()
    a100 = GpuClass.objects.get(slug="a100")
    for number, gone in enumerate((None, None, clock.now())):
        values = {"uuid": f"G{number}", "number": number, "product": "A100", "memory": 1, "missing_since": gone}
        GpuDevice.objects.create(node=node, gpu_class=a100, **values)
    GpuHold.objects.create(device=GpuDevice.objects.get(number=0), allocation=make_workspace().allocation)
    now = clock.now()
    over = {"since": now, "until": now}
    GpuHold.objects.create(device=GpuDevice.objects.get(number=1), allocation=make_workspace().allocation, **over)
    ticking.beat("worker")
    with clock.shifted(timedelta(minutes=2)):
        found = told(people)
    assert {state: found[f'berth_gpu_devices{{class="a100",state="{state}"}}'] for state in ("free", "held")} == {
        "free": 1,
        "held": 1,
    }
    assert found['berth_gpu_devices{class="a100",state="missing"}'] == 1
    assert found['berth_node_up{node="fake"}'] == 0
    assert 120 <= found['berth_heartbeat_age_seconds{process="worker"}'] < 720


def test_it_asks_a_fixed_number_of_questions(
    people: People, make_workspace: Callable[..., Any], settle: Callable[..., None]
) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            metrics()
        return len(asked)

    make_workspace()
    before = questions()
    for owner in (people.vera, people.oda, people.luis):
        make_workspace(owner)
    settle()
    make_workspace()
    assert questions() == before <= 9


def named(text: str) -> set[str]:
    return set(re.findall(r"\bberth_[a-z_]+\b", text))


def test_the_dashboard_and_the_alarms_use_what_there_is() -> None:
    names = {metric.name for metric in metrics()}
    board = json.loads((FOLDER / "berth.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    assert named(asked) == names
    rules = yaml.safe_load((FOLDER / "berth-rules.yml").read_text())["groups"][0]["rules"]
    assert named(" ".join(rule["expr"] for rule in rules)) <= names
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert scraped["scrape_configs"][0]["authorization"]["credentials_file"]


def test_every_metric_is_described() -> None:
    page = (settings.BASE_DIR / "docs/how-to/watch-with-prometheus.md").read_text()
    assert set(re.findall(r"^\| `(berth_\w+)` \|", page, re.MULTILINE)) == {metric.name for metric in metrics()}
