"""What every form of a job is made with: what it begins with, what may be chosen, sizes and costs."""

from typing import Any

from django.http import QueryDict

from environments import access as environments
from environments.cards import Row, size_text
from environments.launch_page import STARTS
from environments.models import Workspace
from environments.pages import sizes_for_launch
from jobs import access, actions, job_file, pages, tracking
from jobs.access import Right
from jobs.again import submission_of
from jobs.estimates import estimates
from jobs.models import Job
from jobs.submission import Submission, running, script, written
from portal.accounts.access import teams_of
from portal.accounts.models import User
from portal.compute.models import Size
from portal.compute.states import Rank
from portal.lib import words
from portal.lib.errors import Next, NotFound
from portal.lib.money import Money
from portal.usage import costs


def first_values(user: User, query: QueryDict) -> Submission:
    """Another job with changes, a workspace as it is now, or the first template that runs jobs."""
    if pk := query.get("job"):
        return submission_of(access.job_for(user, pk, Right.RERUN), user)
    if pk := query.get("workspace"):
        workspace = environments.workspace_for(user, pk, environments.Right.OWN)
        team, size = workspace.team.slug, workspace.size_id
        return Submission(command=[], workspace=workspace.pk, folder=query.get("folder", ""), team=team, size=size)
    offered = environments.templates_for(user)
    template = offered.filter(kind="job").first() or offered.first()
    if template is None:
        raise NotFound("There is no environment for your teams yet.", next_step=Next("Your jobs", "/jobs/"))
    folder, command = query.get("folder", ""), script(running(query.get("run", "")))
    return Submission(command=command, folder=folder, template=template.slug)


def choices(user: User, base: Submission) -> dict[str, Any]:
    """Arguments of SubmitForm, to begin with `base`."""
    templates = sorted(environments.templates_for(user), key=lambda one: (one.kind != "job", one.position))
    teams, workspace = list(teams_of(user)), _workspace(user, base)
    team = workspace.team.slug if workspace else teams[0].slug if teams else ""
    shown = {"size": _sizes(user, base)[1], "team": team, "project": _project(user, base)}
    patterns = environments.patterns_for(user)
    return {"base": base, "templates": templates, "patterns": patterns, "teams": teams, "user": user, "shown": shown}


def _workspace(user: User, asked: Submission) -> Workspace | None:
    return environments.workspaces_of(user).filter(pk=asked.workspace).first() if asked.workspace else None


def _project(user: User, asked: Submission) -> str:
    if asked.project is not None:
        return asked.project
    workspace = _workspace(user, asked)
    return workspace.project if workspace else ""


def _sizes(user: User, asked: Submission) -> tuple[list[Size], str]:
    """Those that its environment allows, and which one it has where none is asked for."""
    workspace = None if asked.template or asked.image else _workspace(user, asked)
    offered = environments.templates_for(user).filter(slug=asked.template or "")
    template = workspace.version.template if workspace else offered.first()
    sizes = list((template.sizes if template else Size.objects).filter(retired=False))
    if workspace:
        return sizes, workspace.size_id
    return sizes, template.default_size_id if template else sizes[0].slug


def review(user: User, asked: Submission) -> dict[str, Any]:
    """What a job would be and cost, and its file. Raises Invalid as submitting it would."""
    job = Job(owner=user, **actions.check(user, asked))
    price = costs.per_hour([job.size])[job.size_id]
    rows = {
        "Name": job.name,
        "Environment": pages.environment_text(job),
        "Code": pages.code_text(job) or "none",
        "Size": f"{job.size_id} ({size_text(job.size)})",
        "Costs": _expected(job, price),
        "Charged to": job.team.name,
        "Project": job.project,
    }
    facts = [Row(label, value) for label, value in rows.items() if value]
    return {"facts": facts, "command": written(job.command), "per_hour": price, "text": job_file.dump(asked)}


def _expected(job: Job, price: Money) -> str:
    usual = estimates([job]).get(job.pk)
    if usual is None or job.max_duration_seconds is not None:
        return pages.estimate(price, job.max_duration_seconds)
    return f"about {words.money(usual)}, if it takes as long as your last jobs of that name"


def size_context(user: User, asked: Submission) -> dict[str, Any]:
    """What the page says of sizes and costs."""
    sizes, default = _sizes(user, asked)
    known = [size.slug for size in sizes]
    chosen = next((slug for slug in (asked.size, default) if slug in known), known[0])
    rank, project = Rank(asked.priority), _project(user, asked)
    shown = sizes_for_launch(sizes, chosen, user, team=asked.team, project=project, rank=rank)
    taken = next(size for size in shown if size.checked)
    price = taken.per_hour
    team = next((one for one in teams_of(user) if asked.team in (None, one.slug)), None)
    return {
        "sizes": shown,
        "per_hour": price,
        "estimate": pages.estimate(price, asked.max_duration_seconds),
        "starts": STARTS[taken.truth_state],
        "charged_to": team.name if team else "no team yet",
        "tracking": tracking.offered(team),
    }
