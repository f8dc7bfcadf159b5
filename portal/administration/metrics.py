"""What Prometheus may watch: figures of what is there now, read from the database when they are asked for."""

import tomllib
from collections import Counter
from datetime import datetime
from functools import cache

from django.conf import settings
from django.db.models import Count, Exists, F, Min, OuterRef, Sum

from portal.administration.health import SILENCE
from portal.compute import line
from portal.compute.models import Allocation, GpuDevice, GpuHold, Heartbeat, Node
from portal.compute.states import Phase
from portal.lib import clock
from portal.lib.exposition import Metric, Sample
from portal.usage.metering import running
from portal.usage.models import UsageInterval

GPU_STATES = ("free", "held", "missing")


def metrics() -> list[Metric]:
    """A fixed number of queries, however much there is."""
    now = clock.now()
    return [
        Metric("berth_build_info", "gauge", "Always 1; the labels say what runs.", [_build()]),
        Metric("berth_allocations", "gauge", "Open allocations by phase.", _phases()),
        Metric("berth_allocations_ended_total", "counter", "Ended allocations by kind and reason.", _ended()),
        Metric("berth_running", "gauge", "Running workspaces and attempts of jobs by team.", _running()),
        *_queue(now),
        *_nodes(now),
        Metric("berth_gpu_devices", "gauge", "GPU devices by class and state; without a class, not offered.", _gpus()),
        Metric("berth_cost_per_hour", "gauge", "What runs now costs per hour, by team and currency.", _rates()),
        Metric("berth_heartbeat_age_seconds", "gauge", "Since a process last proved that it works.", _beats(now)),
    ]


@cache
def _version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def _build() -> Sample:
    return {"version": _version(), "instance_name": settings.INSTANCE, "runtime": settings.RUNTIME}, 1


def _phases() -> list[Sample]:
    rows = Allocation.objects.exclude(phase=Phase.ENDED).order_by().values_list("phase").annotate(Count("pk"))
    found = dict(rows)
    return [({"phase": phase}, found.get(phase, 0)) for phase in Phase if phase != Phase.ENDED]


def _ended() -> list[Sample]:
    rows = Allocation.objects.filter(phase=Phase.ENDED).order_by("owner_kind", "reason")
    found = rows.values_list("owner_kind", "reason").annotate(Count("pk"))
    return [({"kind": kind, "reason": reason}, number) for kind, reason, number in found]


def _running() -> list[Sample]:
    rows = Allocation.objects.filter(phase=Phase.RUNNING).order_by("team__slug", "owner_kind")
    found = rows.values_list("team__slug", "owner_kind").annotate(Count("pk"))
    return [({"team": team, "kind": kind}, number) for team, kind, number in found]


def _queue(now: datetime) -> list[Metric]:
    found = line.waiting().aggregate(number=Count("pk"), since=Min("created_at"))
    wait = (now - found["since"]).total_seconds() if found["since"] else 0
    return [
        Metric("berth_queue_length", "gauge", "Allocations that wait for a place.", [({}, found["number"])]),
        Metric("berth_queue_oldest_wait_seconds", "gauge", "How long the first of them has waited.", [({}, wait)]),
    ]


def _nodes(now: datetime) -> list[Metric]:
    rows = list(Node.objects.all())
    up = [({"node": row.name}, int(not row.unreachable_since and now - row.seen_at <= SILENCE)) for row in rows]
    cordoned = [({"node": row.name}, int(row.cordoned_at is not None)) for row in rows]
    return [
        Metric("berth_node_up", "gauge", "1 where the engine of a node answers.", up),
        Metric("berth_node_cordoned", "gauge", "1 where a node takes nothing new.", cordoned),
    ]


def _gpus() -> list[Sample]:
    """Each class with all states, so that none of them vanishes when it is empty."""
    holds = GpuHold.objects.filter(device=OuterRef("pk"), until=None)
    rows = GpuDevice.objects.annotate(held=Exists(holds)).order_by("gpu_class")
    found = Counter(
        (slug or "", "missing" if missing else "held" if held else "free")
        for slug, missing, held in rows.values_list("gpu_class", "missing_since", "held")
    )
    classes = dict.fromkeys(slug for slug, _ in found)
    return [({"class": slug, "state": state}, found[slug, state]) for slug in classes for state in GPU_STATES]


def _rates() -> list[Sample]:
    rows = running(UsageInterval.objects.order_by("team", "currency"))
    found = rows.values_list("team", "currency").annotate(rate=Sum(F("quantity") * F("price_per_hour")))
    return [({"team": team, "currency": currency}, rate) for team, currency, rate in found]


def _beats(now: datetime) -> list[Sample]:
    rows = Heartbeat.objects.order_by("name").values_list("name", "at")
    return [({"process": name}, (now - at).total_seconds()) for name, at in rows]
