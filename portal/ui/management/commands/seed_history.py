"""`manage.py seed_history`: a made-up quarter of work and what it cost, so that the dashboards of a demo show some."""

import secrets
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from environments import volumes
from environments.models import Template, TemplateVersion, Volume, Workspace
from jobs.models import Attempt, Job, Scalar
from jobs.states import ArtifactsState, final_state
from portal.accounts.actions import add_member, create_team, create_user
from portal.accounts.models import Role, Team, User
from portal.administration import history
from portal.administration.history import Kept, Person, Run
from portal.compute.models import Allocation, Size, Transition
from portal.compute.states import Desired, LogState, Phase, Reason
from portal.lib import clock, ids
from portal.usage import metering, storage
from portal.usage.meters import STORAGE, meter_of
from portal.usage.models import Budget, UsageInterval

ACTOR = "seed_history"
NODE = "demo-node"
MADE_UP = "Made up for the demo."
BUDGETS = {"vision": 700, "risk": 60, "language": 700}
"""Of a month, in the currency of prices."""
STEPS = (Phase.PENDING, Phase.ADMITTED, Phase.STARTING, Phase.RUNNING, Phase.ENDED)


class Command(BaseCommand):
    help = "Make up a quarter of work for the demo, once: people, workspaces, jobs, and what they used."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        if Job.objects.exists() or UsageInterval.objects.exists():
            self.stdout.write("There is work here already: none is made up.")
            return
        midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        runs = history.quarter(midnight)
        _check(runs)
        writer = Writer()
        writer.write(runs)
        writer.write_kept(history.kept(midnight))
        self.stdout.write(f"{len(runs)} runs of {len(history.PEOPLE)} people are made up.")


class Writer:
    """Turns runs into rows, as they would be had all of it happened."""

    def __init__(self) -> None:
        self.teams = {slug: _team(slug, name) for slug, name in history.TEAMS.items()}
        self.users = {person.username: self._user(person) for person in history.PEOPLE}
        self.sizes = Size.objects.in_bulk()
        versions = TemplateVersion.objects.select_related("template").order_by("template_id", "-published_at")
        self.versions = {one.template_id: one for one in versions.distinct("template_id")}
        self.prices = metering.prices(clock.now())
        self.workspaces: dict[str, Workspace] = {}

    def write(self, runs: list[Run]) -> None:
        made = [(run, self._allocation(run)) for run in runs]
        Allocation.objects.bulk_create(allocation for _, allocation in made)
        Transition.objects.bulk_create(step for run, one in made for step in _transitions(run, one))
        UsageInterval.objects.bulk_create(row for run, one in made for row in self._intervals(run, one))
        self._write_jobs([pair for pair in made if pair[0].kind == "job"])
        self._write_workspaces([pair for pair in made if pair[0].kind == "workspace"])
        for slug, amount in BUDGETS.items():
            Budget.objects.get_or_create(team=self.teams[slug], defaults={"amount": amount})

    def write_kept(self, kept: list[Kept]) -> None:
        homes = {user.username: volumes.home_of(user).pk for user in self.users.values()}
        folders = {slug: volumes.of_team(team).pk for slug, team in self.teams.items()}
        per_hour, currency = self.prices[STORAGE]
        for one in kept:
            volume = homes[one.username] if one.username else folders[one.team]
            UsageInterval.objects.create(
                allocation_id=volume,
                owner_kind=storage.KIND,
                owner_id=volume,
                meter=STORAGE,
                quantity=one.gib,
                started_at=one.started_at,
                ended_at=one.ended_at,
                price_per_hour=per_hour,
                currency=currency,
                team=one.team,
                user=one.username,
            )

    def _user(self, person: Person) -> User:
        """One who was not there cannot sign in: nobody is told the password."""
        found = User.objects.filter(username=person.username).first()
        found = found or create_user(person.username, person.name, secrets.token_urlsafe(), staff=False, actor=ACTOR)
        team = self.teams[person.team]
        if not found.memberships.filter(team=team).exists():
            add_member(team, found, Role.LEAD if person.leads else Role.MEMBER, actor=ACTOR)
        return found

    def _allocation(self, run: Run) -> Allocation:
        size, person = self.sizes[run.size], run.person
        return Allocation(
            id=ids.id_at(run.wished_at),
            owner_kind=run.kind,
            owner_id=ids.id_at(run.wished_at) if run.kind == "job" else self._workspace(run).pk,
            user=self.users[person.username],
            team=self.teams[person.team],
            project=run.project,
            size=size,
            cpu=size.cpu,
            memory=size.memory,
            gpu_class=size.gpu_class,
            gpu_count=size.gpu_count,
            spec={"template": run.template, "mounts": []},
            desired=Desired.END,
            end_reason=run.reason,
            phase=Phase.ENDED,
            reason=run.reason,
            message=MADE_UP,
            created_at=run.wished_at,
            line_at=run.wished_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
            confirmed_at=run.ended_at,
            exit_code=_exit_code(run),
            log_state=LogState.REMOVED,
            log_removed_at=run.ended_at,
            next_look_at=None,
        )

    def _workspace(self, run: Run) -> Workspace:
        owner = self.users[run.person.username]
        if owner.username not in self.workspaces:
            self.workspaces[owner.username] = Workspace.objects.create(
                id=ids.id_at(run.wished_at),
                name=run.name,
                owner=owner,
                team=self.teams[run.person.team],
                version=self.versions[run.template],
                size=self.sizes[run.person.size],
                project=run.project,
                home=volumes.home_of(owner),
                created_at=run.wished_at,
            )
        return self.workspaces[owner.username]

    def _intervals(self, run: Run, allocation: Allocation) -> Iterable[UsageInterval]:
        at_work = run.at_work
        for sku, quantity in metering.quantities(allocation).items():
            per_hour, currency = self.prices[sku]
            meter = meter_of(sku)
            held = float(quantity) * (run.ended_at - run.started_at).total_seconds()
            yield UsageInterval(
                allocation_id=allocation.pk,
                owner_kind=run.kind,
                owner_id=allocation.owner_id,
                meter=meter,
                measured=held if meter in at_work else 0,
                used=held * at_work.get(meter, 0),
                quantity=quantity,
                started_at=run.started_at,
                ended_at=run.ended_at,
                price_per_hour=per_hour,
                currency=currency,
                team=run.person.team,
                user=run.person.username,
                project=run.project,
                template=run.template,
                gpu_class=allocation.gpu_class_id or "",
                node=NODE,
            )

    def _write_workspaces(self, made: list[tuple[Run, Allocation]]) -> None:
        """The last run of each is the one that its page speaks of."""
        for run, allocation in made:
            workspace = self.workspaces[run.person.username]
            workspace.allocation = allocation
            workspace.last_activity_at = run.ended_at
        Workspace.objects.bulk_update(self.workspaces.values(), ["allocation", "last_activity_at"])

    def _write_jobs(self, made: list[tuple[Run, Allocation]]) -> None:
        """What they left was removed long ago."""
        counts = Counter(allocation.user for _, allocation in made)
        stores = {user: iter(volumes.for_jobs(user, count)) for user, count in counts.items()}
        jobs = Job.objects.bulk_create(self._job(run, one, next(stores[one.user])) for run, one in made)
        attempts = Attempt.objects.bulk_create(
            Attempt(job=job, number=1, allocation=allocation, counted=True)
            for (_, allocation), job in zip(made, jobs, strict=True)
        )
        Scalar.objects.bulk_create(
            scalar for (run, _), attempt in zip(made, attempts, strict=True) for scalar in _scalars(run, attempt)
        )
        Volume.objects.filter(pk__in=[job.volume_id for job in jobs]).update(
            delete_requested_at=clock.now(), deleted_at=clock.now()
        )

    def _job(self, run: Run, allocation: Allocation, volume: Volume) -> Job:
        return Job(
            id=allocation.owner_id,
            name=run.name,
            owner=allocation.user,
            team=allocation.team,
            version=self.versions[run.template],
            size=allocation.size,
            project=run.project,
            parameters={"note": MADE_UP},
            command=["python", f"{run.name.rpartition('-')[0].replace('-', '_')}.py"],
            created_at=run.wished_at,
            state=final_state(run.reason),
            reason=run.reason,
            message=MADE_UP,
            exit_code=_exit_code(run),
            scalar_count=len(run.losses),
            begun_at=run.started_at,
            ended_at=run.ended_at,
            cancelled_by=run.person.username if run.reason == Reason.CANCELLED else "",
            volume=volume,
            artifacts_state=ArtifactsState.REMOVED,
        )


def _check(runs: list[Run]) -> None:
    """The catalog has what they ran on."""
    for name, model, wanted in (
        ("size", Size, {run.size for run in runs}),
        ("environment", Template, {run.template for run in runs}),
    ):
        if missing := wanted - set(model.objects.in_bulk(wanted)):
            raise CommandError(f"No history can be made up: the catalog has no {name} {', '.join(sorted(missing))}.")


def _team(slug: str, name: str) -> Team:
    return Team.objects.filter(slug=slug).first() or create_team(slug, name, actor=ACTOR)


def _exit_code(run: Run) -> int | None:
    if run.kind == "workspace":
        return None
    return {Reason.COMPLETED: 0, Reason.FAILED: 1}.get(run.reason, 137)


def _transitions(run: Run, allocation: Allocation) -> Iterable[Transition]:
    placed = run.started_at - history.PULL + timedelta(seconds=1)
    times = (run.wished_at, placed, run.started_at, run.started_at + timedelta(seconds=1), run.ended_at)
    before = ""
    for phase, at in zip(STEPS, times, strict=True):
        last = {"reason": run.reason, "message": MADE_UP} if phase == Phase.ENDED else {}
        yield Transition(
            allocation=allocation, at=at, from_phase=before, to_phase=phase, generation=1, actor=ACTOR, **last
        )
        before = phase


def _scalars(run: Run, attempt: Attempt) -> Iterable[Scalar]:
    length = run.ended_at - run.started_at
    for step, value in enumerate(run.losses):
        at = run.started_at + length * (step + 1) / len(run.losses)
        yield Scalar(job_id=attempt.job_id, attempt=attempt, seq=step + 1, name="loss", step=step, value=value, at=at)
