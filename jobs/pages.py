"""Gathers what the pages of jobs show, each with a fixed number of queries."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import QueryDict
from django.urls import reverse

from environments import pages as environments
from environments.cards import Action, Row, size_text
from jobs import access, cards, data_use, idle_gpus, model_access, places, tensorboard, tracking
from jobs.access import Right
from jobs.cards import Attempted, JobCard
from jobs.estimates import usual_seconds
from jobs.measured import scalars
from jobs.model_use import references
from jobs.models import Artifact, Attempt, Job
from jobs.spec import CODE
from jobs.states import FINAL, ArtifactsState, J
from jobs.submission import written
from portal.accounts.models import User
from portal.compute import log_page, queue
from portal.compute.log_page import Addresses, LogView
from portal.compute.node_page import emptied
from portal.compute.states import Phase, Reason
from portal.lib import clock, plots, words
from portal.lib.money import Money
from portal.usage import costs

MOST_LINES = 8
MOST_ARTIFACTS = 100
MOST_ATTEMPTS = 50


def job_cards(jobs: Sequence[Job]) -> list[JobCard]:
    prices = costs.per_hour({job.size for job in jobs})
    spent, tried = costs.so_far(job.pk for job in jobs), _attempted(jobs)
    return [cards.card(job, prices, spent, attempt=tried.get(job.pk)) for job in jobs]


def _attempted(jobs: Sequence[Job]) -> dict[str, Attempted]:
    """The latest attempt of each."""
    latest = Attempt.objects.filter(job=OuterRef("job")).order_by("-number").values("pk")[:1]
    rows = Attempt.objects.filter(job__in=[job.pk for job in jobs], pk=Subquery(latest))
    attempts = list(rows.select_related("allocation").defer("allocation__spec"))
    queue.explain(attempt.allocation for attempt in attempts)
    return {attempt.job_id: cards.attempted(attempt) for attempt in attempts}


def counts(rows: QuerySet[Job]) -> dict[str, int]:
    """How many there are in each state, and under "" in all; one query."""
    found = dict(rows.order_by().values_list("state").annotate(number=Count("pk")))
    return defaultdict(int, found | {"": sum(found.values())})


def detail(user: User, job: Job) -> dict[str, Any]:
    """Context of a job's page and of each of its fragments."""
    rights = access.rights_on(user, job)
    prices, spent, tried = costs.per_hour([job.size]), costs.so_far([job.pk]), _attempted([job])
    card = cards.card(job, prices, spent, attempt=tried.get(job.pk), rights=rights)
    attempts = list(
        job.attempts.select_related(
            "allocation__node", "allocation__gpu_class", "tracking__allocation", "tracking__owner"
        ).order_by("-number")[:MOST_ATTEMPTS]
    )
    may_read = Right.READ in rights
    return {
        "card": card,
        "job": job,
        "command": written(job.command),
        "facts": _facts(job, card) + _idle_gpus(attempts) + tracking.facts(attempts),
        "drain": emptied(attempts[0].allocation) if attempts else "",
        "attempts": [attempt_row(attempt) for attempt in attempts],
        "plots": plotted(job),
        "metrics": _use(attempts),
        "artifacts": _artifacts(job, may_read),
        "models": _models(user, job),
        "record": record(job),
        "data_changed": data_use.changed(job),
        "tensorboard": _tensorboard(user, job) if may_read else None,
        "mlflow": tracking.way_in(user, attempts[0]) if attempts else None,
        "clone": f"{reverse('job-new')}?job={job.pk}" if Right.RERUN in rights else "",
        "live_topics": [job.topic, f"{job.topic}-told"],
    }


def _tensorboard(user: User, job: Job) -> Action | None:
    """Where it has files, and the catalog has TensorBoard."""
    if job.begun_at is None or job.volume.delete_requested_at is not None or not tensorboard.offered(user):
        return None
    return Action("TensorBoard", reverse("job-tensorboard", args=[job.pk]))


def _facts(job: Job, card: JobCard) -> list[Row]:
    rows = [Row("Submitted", f"{words.moment(job.created_at, clock.now())} by {card.owner_name}")]
    if card.lasted:
        rows.append(Row("Ran for" if job.over else "Running for", card.lasted))
    rows.append(Row("Cost" if job.over else "Cost so far", card.so_far or "nothing yet"))
    if not job.over:
        rows += _expected(job)
        rows.append(Row("Ends by itself", _ends(job)))
    elif job.exit_code is not None:
        rows.append(Row("Exit code", str(job.exit_code)))
    return rows


def _expected(job: Job) -> list[Row]:
    """When it may end, where it says nothing of its progress and jobs of its name have run before."""
    if job.begun_at is None or job.progress is not None or job.state != J.RUNNING:
        return []
    usual = usual_seconds([job]).get(job.pk)
    if usual is None:
        return []
    end, took = job.begun_at + timedelta(seconds=usual), words.duration(usual)
    if end < clock.now():
        return [Row("Estimated end", f"later than usual: your last jobs of this name took {took}")]
    return [Row("Estimated end", f"about {words.clock(end)}: your last jobs of this name took {took}")]


def _idle_gpus(attempts: Sequence[Attempt]) -> list[Row]:
    """Where the latest attempt runs, and its owner was told."""
    if not attempts or attempts[0].counted is not None or attempts[0].idle_told_at is None:
        return []
    due = idle_gpus.stops_at(attempts[0])
    return [Row("GPUs", f"idle: it is stopped {words.clock(due)}, unless they work again" if due else "idle")]


def _ends(job: Job) -> str:
    if job.max_duration_seconds is None:
        return "when it is done"
    if job.begun_at is None:
        return f"when it is done, after {words.duration(job.max_duration_seconds)} at the latest"
    return f"when it is done, at the latest {words.clock(job.begun_at + timedelta(seconds=job.max_duration_seconds))}"


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    allocation = attempt.allocation
    ended = allocation.phase == Phase.ENDED
    began, over = allocation.started_at, allocation.ended_at
    return {
        "number": attempt.number,
        "state": ("succeeded" if allocation.reason == Reason.COMPLETED else "failed") if ended else "running",
        "word": Reason(allocation.reason).label if ended else Phase(allocation.phase).label,
        "message": allocation.message if ended and allocation.reason != Reason.COMPLETED else "",
        "lasted": words.duration(((over or clock.now()) - began).total_seconds()) if began else "",
        "node": allocation.node.name if allocation.node else "",
        "size": allocation.size_id,
        "note": "the machine's fault, not counted" if attempt.counted is False else "",
    }


def plotted(job: Job) -> list[dict[str, Any]]:
    """Each metric by name, those before a `/` together (`loss/train` and `loss/val` are one plot); thinned."""
    found: dict[str, list[Told]] = defaultdict(list)
    for series in scalars(job, MOST_LINES * 3):
        group, _, label = series["name"].partition("/")
        steps = {point["step"]: point["value"] for point in series["points"]}
        line = plots.Line(label or series["name"], sorted(steps.items()))
        found[group].append(Told(line, series["points"][-1]["value"]))
    return [_plot(group, told[:MOST_LINES]) for group, told in found.items()]


class Told(NamedTuple):
    """What a job said of one metric, by its steps, and what it said last."""

    line: plots.Line
    last: float


def _plot(group: str, told: list[Told]) -> dict[str, Any]:
    lines = [one.line for one in told]
    return {
        "name": group,
        "drawing": plots.plot(lines, group),
        "lines": [
            {"label": one.line.label, "colour": n % plots.COLOURS, "last": plots.number(one.last)}
            for n, one in enumerate(told)
        ],
        "rows": [(line.label, step, plots.number(value)) for line in lines for step, value in line.points[-30:]],
    }


def _use(attempts: list[Attempt]) -> list[dict[str, Any]]:
    """CPU and memory of the latest attempt."""
    return environments.use_of(attempts[0].allocation) if attempts else []


def log(job: Job, query: QueryDict) -> LogView:
    """Of the latest attempt, whichever that is."""
    attempt = job.attempts.select_related("allocation").order_by("-number").first()
    addresses = Addresses(
        fragment=reverse("job-fragment", args=[job.pk, "log"]),
        text=reverse("job-log", args=[job.pk, attempt.number if attempt else 1]),
        live=reverse("live-job-log", args=[job.pk]),
        topic=job.topic,
    )
    return log_page.view(attempt.allocation if attempt else None, query, addresses)


def log_of(job: Job, attempt: Attempt, query: QueryDict) -> LogView:
    """Of this attempt."""
    this = [job.pk, attempt.number]
    addresses = Addresses(
        fragment=reverse("job-attempt-log", args=this),
        text=reverse("job-log", args=this),
        live=reverse("live-attempt-log", args=this),
        topic=job.topic,
    )
    return log_page.view(attempt.allocation, query, addresses)


def _artifacts(job: Job, may_read: bool) -> dict[str, Any]:
    base = reverse("files-place", args=[places.key_of(job)])
    rows = list(Artifact.objects.filter(job=job)[:MOST_ARTIFACTS]) if job.artifacts_state != "removed" else []
    total = Artifact.objects.filter(job=job).aggregate(n=Count("pk"))["n"] if len(rows) == MOST_ARTIFACTS else len(rows)
    return {
        "rows": [
            {
                "name": row.path.removeprefix(f"{CODE}/"),
                "size": row.size,
                "sha256": row.sha256,
                "view": f"{base}browse/{quote(row.path)}" if may_read else "",
                "url": f"{base}download/{quote(row.path)}" if may_read else "",
            }
            for row in rows
        ],
        "more": total - len(rows),
        "state": ArtifactsState(job.artifacts_state),
        "collecting": job.artifacts_state == ArtifactsState.WAITING,
        "partial": job.artifacts_state == ArtifactsState.PARTIAL,
        "removed": job.artifacts_state == ArtifactsState.REMOVED,
        "all": base if may_read and job.volume.delete_requested_at is None and job.begun_at else "",
        "archive": reverse("job-archive", args=[job.pk]) if may_read and rows else "",
        "outputs": ", ".join(["$BERTH_OUTPUTS", *job.outputs]),
        "pin": _pin(job) if may_read and job.state in FINAL and rows else None,
    }


def _models(user: User, job: Job) -> dict[str, Any]:
    """What became of it as versions of models."""
    kept = model_access.kept_of(job)
    return {
        "kept": kept,
        "keep": reverse("job-keep", args=[job.pk]) if model_access.may_keep(user, job) else "",
        "not_kept": job.message if job.keep_as and job.state == J.SUCCEEDED and not kept else "",
    }


def _pin(job: Job) -> Action:
    return Action("Let them go" if job.pinned else "Keep for ever", reverse("job-pin", args=[job.pk]))


def record(job: Job) -> list[Row]:
    """All it takes to run the same again."""
    parameters = ", ".join(f"{name} {value}" for name, value in job.parameters.items())
    image = job.version.image.digest.removeprefix("sha256:")[:12]
    found = {
        "Environment": environment_text(job),
        "Image": image,
        "Code": code_text(job),
        "Parameters": parameters,
        "Data": data_use.text(job),
        "Models": ", ".join(references(job)),
        "Variables": ", ".join(job.environment),
        "Secrets": ", ".join(job.secrets.values_list("name", flat=True)),
        "Size": f"{job.size_id} ({size_text(job.size)})",
        "Retries": f"{job.retries}, after {words.duration(job.retry_delay_seconds)}" if job.retries else "",
        "Charged to": job.team.name,
        "Project": job.project,
        "Repeats": job.rerun_of.name if job.rerun_of else "",
    }
    return [Row(label, value) for label, value in found.items() if value]


def environment_text(job: Job) -> str:
    """What it runs in: a version of a template, or an image by its name, as exactly as that is known."""
    named = job.version.image.named
    return named or f"{job.version.template.name} {job.version.version}"


def code_text(job: Job) -> str:
    """Where its code comes from, as exactly as that is known; empty where it has none."""
    if job.git_url:
        return f"{job.git_url} {job.git_ref}".strip() + (f" at {job.git_commit[:12]}" if job.git_commit else "")
    if job.snapshot:
        return str(job.snapshot) + (f", sha256 {job.code_hash[:12]}" if job.code_hash else "")
    return f"~/{job.folder}, as it is now" if job.folder or job.workspace else ""


def estimate(price: Money, seconds: int | None) -> str:
    """What it costs at most."""
    if seconds is None:
        return f"{words.money(price)} for each hour it runs"
    return f"at most {words.money(Money(price.amount * seconds / 3600, price.currency))}"
