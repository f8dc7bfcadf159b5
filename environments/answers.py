"""What the API says of workspaces: plain values, gathered with a fixed number of queries, and their shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery
from rest_framework import serializers

from environments import addresses
from environments.chosen import Chosen, chosen_by_workspace
from environments.idle import rule_of
from environments.models import Workspace
from environments.states import UP, Counted, Serves, W, WorkspaceState, state_of
from environments.versions import update_for, with_newer
from portal.compute import queue
from portal.compute.models import Allocation, Transition
from portal.compute.queue import Place
from portal.compute.states import COMING_UP, Phase, Reason
from portal.lib.errors import Next
from portal.lib.money import Money
from portal.lib.rest import MoneySerializer, NextSerializer
from portal.usage import costs

WAITING = "waiting"
UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Why:
    code: str
    message: str
    next: Next | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    per_hour: Money
    so_far: Money


@dataclass(frozen=True, slots=True)
class Use:
    what: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Repository:
    url: str
    ref: str


@dataclass(frozen=True, slots=True)
class WorkspaceAnswer:
    id: str
    name: str
    template: str
    version: str
    newer_version: str | None
    ide: str | None
    size: str
    team: str
    project: str
    owner: str
    state: WorkspaceState
    stage: str | None
    reason: Why | None
    url: str
    allocation: str | None
    cost: Cost
    queue: Place | None
    created_at: datetime
    started_at: datetime | None
    last_activity_at: datetime | None
    stops_at: datetime | None
    git: Repository | None
    parameters: list[str]
    env: list[str]
    volumes: list[str]
    secrets: list[str]
    auto_stop_minutes: float | None
    keep_until: datetime | None
    counted: Use | None
    serves_team: str | None


def answers(workspaces: Sequence[Workspace]) -> list[WorkspaceAnswer]:
    rates = costs.per_hour({workspace.size for workspace in workspaces})
    spent = costs.so_far(workspace.pk for workspace in workspaces)
    with_newer(workspaces)
    line = queue.explain(workspace.allocation for workspace in workspaces if workspace.allocation)
    chosen = chosen_by_workspace(workspaces)
    nothing = Money(Decimal(0), settings.CURRENCY)
    return [
        _answer(workspace, Cost(rates[workspace.size_id], spent.get(workspace.pk, nothing)), line, chosen[workspace.pk])
        for workspace in workspaces
    ]


def _answer(workspace: Workspace, cost: Cost, line: dict[str, Place], chosen: Chosen) -> WorkspaceAnswer:
    allocation, template = workspace.allocation, workspace.version.template
    state = state_of(allocation, workspace.deleted_at is not None)
    after = rule_of(workspace).after
    place = line.get(allocation.pk) if allocation else None
    return WorkspaceAnswer(
        id=workspace.pk,
        name=workspace.name,
        template=template.slug,
        version=workspace.version.version,
        newer_version=update.version if (update := update_for(workspace)) else None,
        ide=template.ide or None,
        size=workspace.size_id,
        team=workspace.team.slug,
        project=workspace.project,
        owner=workspace.owner.username,
        state=state,
        stage=allocation.phase if allocation and state == W.STARTING else None,
        reason=_why(workspace, allocation, state) if allocation else None,
        url=addresses.url(workspace.pk),
        allocation=allocation.pk if allocation else None,
        cost=cost,
        queue=place,
        created_at=workspace.created_at,
        started_at=allocation.started_at if allocation else None,
        last_activity_at=workspace.last_activity_at,
        stops_at=workspace.stops_at if state in UP else None,
        git=Repository(workspace.git_url, workspace.git_ref) if workspace.git_url else None,
        parameters=sorted(workspace.parameters),
        env=sorted(workspace.environment),
        volumes=chosen.volumes,
        secrets=chosen.secrets,
        auto_stop_minutes=after.total_seconds() / 60 if after else None,
        keep_until=workspace.keep_until if state in UP else None,
        counted=_counted(workspace) if state in UP else None,
        serves_team=workspace.serves_team or None,
    )


def _why(workspace: Workspace, allocation: Allocation, state: WorkspaceState) -> Why | None:
    """Why it is not running, where there is something to say."""
    match state:
        case W.QUEUED:
            return Why(WAITING, allocation.message)
        case W.STARTING if allocation.phase == Phase.PULLING and allocation.message:
            return Why(WAITING, allocation.message)
        case W.UNREACHABLE:
            return Why(UNREACHABLE, "The container engine does not answer. It may well be running; nothing is lost.")
        case W.FAILED:
            again = Next("Try again", f"/workspaces/{workspace.pk}/")
            return _ending(allocation, again)
        case W.STOPPED | W.DELETED:
            return _ending(allocation, None)
        case _:
            return None


def _counted(workspace: Workspace) -> Use | None:
    return Use(workspace.counted, workspace.idle_since) if workspace.idle_since else None


def _ending(allocation: Allocation, again: Next | None) -> Why:
    reason = Reason(allocation.reason)
    return Why(reason, allocation.message or reason.label, again)


class ReasonSerializer(serializers.Serializer[Why]):
    code = serializers.CharField(help_text="Why it ended, or `waiting`, or `unreachable`.")
    message = serializers.CharField()
    next = NextSerializer(allow_null=True)


class CostSerializer(serializers.Serializer[Cost]):
    per_hour = MoneySerializer()
    so_far = MoneySerializer()


class QueueSerializer(serializers.Serializer[Place]):
    position = serializers.IntegerField(help_text="1 is next.")
    eta_seconds = serializers.IntegerField(
        allow_null=True, help_text="From how long others took lately; null where nobody can know."
    )


class UseSerializer(serializers.Serializer[Use]):
    what = serializers.ChoiceField(Counted.choices)
    at = serializers.DateTimeField()


class RepositorySerializer(serializers.Serializer[Repository]):
    url = serializers.CharField()
    ref = serializers.CharField(help_text="Branch, tag or commit; empty for the repository's default branch.")


class WorkspaceSerializer(serializers.Serializer[Any]):
    """A workspace. Of its parameters and variables only the names are told: others than its owner may look."""

    id = serializers.CharField()
    name = serializers.CharField()
    template = serializers.CharField()
    version = serializers.CharField()
    newer_version = serializers.CharField(allow_null=True, help_text="The newest version, if it has an older one.")
    ide = serializers.CharField(allow_null=True)
    size = serializers.CharField()
    team = serializers.CharField(help_text="Who pays.")
    project = serializers.CharField(help_text="What its cost is for; empty for none.")
    owner = serializers.CharField()
    state = serializers.ChoiceField(WorkspaceState.choices)
    stage = serializers.ChoiceField(
        sorted((p.value, p.label) for p in COMING_UP), allow_null=True, help_text="Only while it is starting."
    )
    reason = ReasonSerializer(allow_null=True)
    url = serializers.URLField(help_text="Where it is; `open` gives a link that lets a browser in.")
    allocation = serializers.CharField(allow_null=True, help_text="Id of its latest share of a node.")
    cost = CostSerializer()
    queue = QueueSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    last_activity_at = serializers.DateTimeField(allow_null=True)
    stops_at = serializers.DateTimeField(
        allow_null=True, help_text="When it stops if nothing runs in it until then; null: never, or it cannot be told."
    )
    git = RepositorySerializer(allow_null=True, help_text="What a start clones into the home where it is missing.")
    parameters = serializers.ListField(child=serializers.CharField(), help_text="Names of those that were given.")
    env = serializers.ListField(child=serializers.CharField(), help_text="Names of its environment variables.")
    volumes = serializers.ListField(
        child=serializers.CharField(), help_text="Names of its datasets, and of jobs whose files it reads."
    )
    secrets = serializers.ListField(child=serializers.CharField(), help_text="Names of those it gets at each start.")
    auto_stop_minutes = serializers.FloatField(
        allow_null=True, help_text="Minutes without use after which it stops, its own or its template's; null is never."
    )
    keep_until = serializers.DateTimeField(allow_null=True, help_text="It does not stop by itself before then.")
    counted = UseSerializer(allow_null=True, help_text="What counted last as use; null while it does not run.")
    serves_team = serializers.ChoiceField(
        Serves.choices, allow_null=True, help_text="What it is for all jobs of its team."
    )


def steps_of(workspace: Workspace) -> QuerySet[Any]:
    """Transitions of the latest start, each with `until`: when the next one came."""
    later = Transition.objects.filter(allocation=OuterRef("allocation"), pk__gt=OuterRef("pk")).order_by("pk")
    steps = Transition.objects.filter(allocation=workspace.allocation_id)
    return steps.annotate(until=Subquery(later.values("at")[:1]))


class StepSerializer(serializers.Serializer[Any]):
    """One step of a workspace's latest start."""

    at = serializers.DateTimeField()
    to = serializers.ChoiceField(Phase.choices, source="to_phase")
    reason = serializers.SerializerMethodField()
    actor = serializers.CharField(help_text="A user's name, or the part of Berth that did it.")
    message = serializers.CharField()
    seconds = serializers.SerializerMethodField(help_text="How long it lasted; null while it lasts.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`from` cannot be the name of an attribute."""
        came_from = serializers.ChoiceField(Phase.choices, source="from_phase", allow_null=True)
        return {"from": came_from, **super().get_fields()}

    def to_representation(self, instance: Any) -> dict[str, Any]:
        answer = super().to_representation(instance)
        return answer | {"from": answer["from"] or None}

    def get_reason(self, step: Any) -> str | None:
        return step.reason or None

    def get_seconds(self, step: Any) -> float | None:
        return (step.until - step.at).total_seconds() if step.until else None
