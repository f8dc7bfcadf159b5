"""GPUs: found on nodes, given out by name, held once, and told to what runs."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, transaction

from environments import actions
from environments.models import Workspace
from portal.compute import activity, admission, answers, devices, queue, specs
from portal.compute.agent import sampling, watching
from portal.compute.models import GIB, Allocation, GpuDevice, GpuHold, Node, Sample, Size
from portal.compute.placement import Need
from portal.compute.states import Phase
from portal.invariants import violations
from portal.lib import clock
from portal.lib.errors import Invalid
from portal.quotas.models import GpuClass
from portal.usage import costs
from portal.usage.models import UsageInterval
from runtimes.base import EngineInfo, Gpu
from runtimes.hardening import container_config
from tests.conftest import People

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
A100 = "NVIDIA A100-SXM4-80GB"


def real(number: int, product: str = A100, utilisation: float | None = None) -> Gpu:
    return Gpu(f"GPU-{number}", product, number, 80 * GIB, utilisation)


@pytest.fixture
def two(catalog: None) -> Node:
    """The node has two simulated A100, and nobody has a limit."""
    GpuClass.objects.update(each_person=None, each_team=None)
    node = Node.objects.get()
    assert devices.note(node, devices.declared({"a100": 2}))
    return node


def allocation(workspace: Workspace) -> Allocation:
    return Allocation.objects.get(pk=workspace.allocation_id)


def test_what_is_placed_holds_named_devices_and_is_told_of_them(make_workspace: Make, two: Node) -> None:
    made = make_workspace(size="gpu-2")
    assert admission.admit() == [made.allocation_id]
    assert [hold.device.uuid for hold in allocation(made).holds.all()] == ["simulated-a100-0", "simulated-a100-1"]
    config = container_config(specs.render(allocation(made)))
    assert "NVIDIA_VISIBLE_DEVICES=simulated-a100-0,simulated-a100-1" in config["Env"]
    assert config["HostConfig"]["DeviceRequests"] == []  # they are not there: no engine is asked for them
    assert violations() == []


def test_real_devices_are_asked_of_the_engine_by_their_names(make_workspace: Make, catalog: None) -> None:
    devices.note(Node.objects.get(), [real(0), real(1)])
    made = make_workspace(size="gpu-1")
    admission.admit()
    config = container_config(specs.render(allocation(made)))
    asked = {"Driver": "nvidia", "DeviceIDs": ["GPU-0"], "Capabilities": [["gpu"]]}
    assert config["HostConfig"]["DeviceRequests"] == [asked]


def test_others_wait_with_numbers_and_the_end_of_one_starts_the_next(
    make_workspace: Make, two: Node, settle: Callable[..., None]
) -> None:
    first, second = make_workspace(size="gpu-1"), make_workspace(size="gpu-1")
    third = make_workspace(size="gpu-2")
    settle()
    waiting = allocation(third)
    queue.explain([waiting])
    assert waiting.message == (
        "Needs 2 × A100, 2 cores and 8 GB; 0 × A100, 62 cores and 248.0 GB are free. Number 1 in line."
    )
    for workspace in (first, second):
        actions.stop(Workspace.objects.get(pk=workspace.pk), actor="vera")
    settle()
    assert allocation(third).phase == Phase.RUNNING
    assert GpuHold.objects.filter(until=None).count() == 2
    assert GpuHold.objects.count() == 4
    assert violations() == []


def test_the_database_refuses_a_second_holder(make_workspace: Make, two: Node) -> None:
    first, second = make_workspace(size="gpu-1"), make_workspace(size="gpu-1")
    admission.admit()
    device = GpuHold.objects.get(allocation=first.allocation_id).device
    with pytest.raises(IntegrityError, match="gpu_is_held_once"), transaction.atomic():
        GpuHold.objects.create(device=device, allocation=allocation(second))


def test_work_without_a_gpu_keeps_away_from_nodes_that_have_some(make_workspace: Make, two: Node) -> None:
    Node.objects.create(
        name="plain", runtime="fake", cpu=2, schedulable_cpu=2, memory=8 * GIB, schedulable_memory=8 * GIB
    )
    made = [make_workspace() for _ in range(3)]
    admission.admit()
    assert [str(allocation(workspace).node) for workspace in made] == ["plain", "plain", "fake"]


def test_whole_sets_of_devices_stay_together(make_workspace: Make, two: Node) -> None:
    other = Node.objects.create(
        name="other", runtime="fake", cpu=9, schedulable_cpu=9, memory=99 * GIB, schedulable_memory=99 * GIB
    )
    devices.note(other, [real(7)])
    single, pair = make_workspace(size="gpu-1"), make_workspace(size="gpu-2")
    admission.admit()
    assert [str(allocation(workspace).node) for workspace in (single, pair)] == ["other", "fake"]


def test_what_no_node_has_is_refused_at_once(people: People, make_workspace: Make, catalog: None) -> None:
    with pytest.raises(Invalid, match="Size gpu-1 never fits: no node has a GPU of class A100"):
        make_workspace(size="gpu-1")
    devices.note(Node.objects.get(), devices.declared({"a100": 1}))
    with pytest.raises(Invalid, match="Size gpu-2 never fits: the largest node has 1 × A100"):
        make_workspace(size="gpu-2")
    truths = admission.availability(list(Size.objects.filter(gpu_count__gt=0)), people.vera)
    assert {slug: truth.state for slug, truth in truths.items()} == {"gpu-1": "now", "gpu-2": "never"}


def test_devices_come_and_go_with_what_the_engine_reports(catalog: None) -> None:
    node = Node.objects.get()
    assert devices.note(node, [real(0), real(1, "Some other card")])
    assert not devices.note(node, [real(0, utilisation=0.5), real(1, "Some other card")])
    first = GpuDevice.objects.get(uuid="GPU-0")
    assert (first.gpu_class_id, first.utilisation, first.busy_at is not None) == ("a100", 0.5, True)
    assert GpuDevice.objects.get(uuid="GPU-1").gpu_class is None  # not offered: nobody has said what it is
    assert list(GpuDevice.offered()) == [first]
    assert devices.note(node, [])
    assert admission.never_fits(Need(Decimal(1), GIB, "a100", 1)) == "no node has a GPU of class A100"
    assert devices.note(node, [real(0)])


def test_a_device_that_is_gone_is_not_given_out_and_one_in_use_stays_with_its_holder(
    make_workspace: Make, two: Node
) -> None:
    made = make_workspace(size="gpu-1")
    admission.admit()
    devices.note(two, [])
    assert [hold.device.uuid for hold in allocation(made).holds.all()] == ["simulated-a100-0"]
    devices.note(two, devices.declared({"a100": 1}))
    make_workspace(size="gpu-1")
    assert admission.admit() == []


def test_a_closed_node_takes_nothing_new(make_workspace: Make, two: Node) -> None:
    Node.objects.update(cordoned_at=clock.now())
    make_workspace(size="gpu-1")
    make_workspace()
    assert admission.admit() == []
    Node.objects.update(cordoned_at=None)
    assert len(admission.admit()) == 2


def test_a_gpu_costs_its_price_from_start_to_end(make_workspace: Make, two: Node, settle: Callable[..., None]) -> None:
    hourly = costs.per_hour([Size.objects.get(slug="gpu-2")])["gpu-2"]
    assert hourly.amount == 2 * Decimal("0.02") + 8 * Decimal("0.005") + 2 * Decimal("2.30")
    made = make_workspace(size="gpu-2")
    settle()
    with clock.shifted(timedelta(hours=1)):
        actions.stop(Workspace.objects.get(pk=made.pk), actor="vera")
        settle()
    intervals = {row.meter: row for row in UsageInterval.objects.all()}
    assert set(intervals) == {"cpu", "memory", "gpu"}
    assert (intervals["gpu"].quantity, intervals["gpu"].price_per_hour) == (Decimal(2), Decimal("2.30"))
    assert {row.gpu_class for row in intervals.values()} == {"a100"}
    assert intervals["gpu"].ended_at is not None


def test_the_agent_notes_what_is_declared(catalog: None, fake_engine: Any, settings: Any) -> None:
    assert configured.SIMULATED_GPUS == {}
    settings.SIMULATED_GPUS = {"a100": 1, "l4": 2}
    watching.note_node(EngineInfo("machine", "1", 8, 64 * GIB), [real(0, "NVIDIA L4")])
    found = GpuDevice.objects.filter(node__name="machine")
    assert sorted(found.values_list("gpu_class", "uuid", "simulated", "memory")) == [
        ("a100", "simulated-a100-0", True, 80 * GIB),
        ("l4", "GPU-0", False, 80 * GIB),
        ("l4", "simulated-l4-0", True, 24 * GIB),
        ("l4", "simulated-l4-1", True, 24 * GIB),
    ]


def test_a_device_at_work_is_seen_and_counts_as_work(
    make_workspace: Make, catalog: None, settle: Callable[..., None], fake_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "runtime", lambda: fake_engine.driver)
    node = Node.objects.get()
    devices.note(node, [real(0, utilisation=0.0)])
    made = make_workspace(size="gpu-1")
    settle()
    row = allocation(made)
    with clock.shifted(timedelta(minutes=1)):
        sampling._sample(row)
        devices.note(node, [real(0, utilisation=0.6)])
    with clock.shifted(timedelta(minutes=1, seconds=5)):
        sampling._sample(row)
        found = activity._with_hardware(activity.Found(), row)
        measured = answers.metrics_answer(row)
    assert Sample.objects.get().gpu == 0.6
    billed = UsageInterval.objects.get(allocation_id=row.pk, meter="gpu")
    assert (billed.measured, billed.used) == pytest.approx((5, 3), rel=0.05)
    assert found.gpu_at is not None
    assert (measured["gpu"]["unit"], measured["gpu"]["reserved"]) == ("devices", 1)
    assert [point["value"] for point in measured["gpu"]["points"]] == [0.6]


def test_a_clock_that_is_put_back_keeps_no_device(make_workspace: Make, two: Node, settle: Callable[..., None]) -> None:
    with clock.shifted(timedelta(hours=1)):
        made = make_workspace(size="gpu-1")
        settle()
    actions.stop(Workspace.objects.get(pk=made.pk), actor="vera")
    settle()
    hold = GpuHold.objects.get()
    assert hold.until == hold.since
    assert allocation(made).phase == Phase.ENDED
