"""What a launch may ask for: each check gives the thing asked for, or raises Invalid naming the field."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from environments import access, images, repositories, schema, versions
from environments.files import access as files
from environments.idle import LONGEST_MINUTES, SHORTEST_MINUTES, Rule, template_rule
from environments.launch import Launch
from environments.models import Dataset, Template, TemplateVersion, Workspace
from portal.accounts.access import secrets_by_name, team_for
from portal.accounts.models import Secret, Team, User
from portal.compute.models import Size
from portal.lib import variables, words
from portal.lib.errors import Invalid, Next, Problem
from portal.usage import projects

NAME_LENGTH = 60
MOST_SECRETS = 20
CLOSED = {"type": "object", "additionalProperties": False}


def columns(owner: User, launch: Launch) -> dict[str, Any]:
    """All that was asked, checked, as columns of a workspace; only its name and secrets are left."""
    for field in ("template", "version", "size", "team"):
        if "\0" in (getattr(launch, field) or ""):
            raise Invalid.field(field, "This has a character that text cannot have.")
    asked = template(owner, launch.template)
    chosen = version(asked, launch.version)
    git_url = repositories.url(launch.git_url)
    return {
        "team": team_for(owner, launch.team),
        "project": projects.checked(launch.project),
        "version": chosen,
        "size": size(asked, launch.size),
        "parameters": parameters(chosen, launch.parameters),
        "environment": environment(launch.env),
        "git_url": git_url,
        "git_ref": repositories.ref(launch.git_ref, git_url),
        "auto_stop_minutes": auto_stop(asked, launch.auto_stop_minutes),
    }


def template(owner: User, slug: str) -> Template:
    found = access.templates_for(owner).filter(slug=slug[:60], kind="workspace").first()
    if found is None:
        raise Invalid.field(
            "template",
            f"There is no template “{slug[:60]}” for your teams.",
            next_step=Next("See the catalog", "/workspaces/new/"),
        )
    return found


def version(template: Template, wanted: str | None) -> TemplateVersion:
    """The one wanted, or the newest; its image's digest is known."""
    offered = list(versions.offered().filter(template=template))
    found = next((v for v in offered if wanted in (None, v.version)), None)
    if found is None:
        known = ", ".join(v.version for v in offered)
        raise Invalid.field("version", f"{template.name} has no version “{str(wanted)[:40]}”. It has: {known}.")
    if not versions.resolved(found):
        images.ring_anew(found.image)
        raise Invalid.field("version", versions.unresolved_sentence(found), next_step=Next("See images", "/images/"))
    return found


def version_for(workspace: Workspace, wanted: str) -> TemplateVersion:
    """The one that a workspace is to have: its own, or another that is offered."""
    mine, name = workspace.version, workspace.version.template.name
    if wanted == mine.version:
        return mine
    if mine.template.retired:
        raise Invalid.field("version", f"{name} is no longer offered; {workspace.name} can go on as it is.")
    return version(mine.template, wanted)


def size(template: Template, slug: str | None) -> Size:
    if slug is None:
        return template.default_size
    found = template.sizes.filter(slug=slug[:40], retired=False).first()
    if found is None:
        allowed = ", ".join(template.sizes.filter(retired=False).values_list("slug", flat=True))
        raise Invalid.field("size", f"{template.name} cannot run as “{slug[:40]}”. Choose one of: {allowed}.")
    return found


def larger(template: Template, size: Size) -> Size | None:
    """The next of its sizes with more memory, no fewer cores and the same GPUs."""
    same = {"retired": False, "gpu_class": size.gpu_class_id, "gpu_count": size.gpu_count}
    more = template.sizes.filter(memory_gib__gt=size.memory_gib, cpu__gte=size.cpu, **same)
    return more.order_by("memory_gib", "cpu", "position").first()


def hold_names(owner: User) -> None:
    """Until the transaction ends nobody else names a workspace of this owner: two launches at once get two names."""
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)


def name(owner: User, wanted: str, but: str = "") -> str:
    """Trimmed, and free among the owner's workspaces other than `but`."""
    wanted = wanted.strip()
    if not 1 <= len(wanted) <= NAME_LENGTH or not wanted.isprintable():
        raise Invalid.field("name", f"Use 1 to {NAME_LENGTH} printable characters, such as “churn study”.")
    if Workspace.objects.filter(owner=owner, name=wanted, deleted_at=None).exclude(pk=but).exists():
        raise Invalid.field("name", f"You already have a workspace called “{wanted}”. Choose another name.")
    return wanted


def free_name(owner: User, template: Template) -> str:
    taken = set(Workspace.objects.filter(owner=owner, deleted_at=None).values_list("name", flat=True))
    base = template.name.lower()[: NAME_LENGTH - 6]
    return next(name for n in range(1, len(taken) + 2) if (name := f"{base}-{n}") not in taken)


def name_near(owner: User, wanted: str) -> str:
    """The name itself where it is free, else the first free one with a number behind it."""
    taken = set(Workspace.objects.filter(owner=owner, deleted_at=None).values_list("name", flat=True))
    base = wanted[: NAME_LENGTH - 6].rstrip()
    numbered = (f"{base}-{n}" for n in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)


def parameters(version: TemplateVersion, values: Mapping[str, Any]) -> dict[str, Any]:
    """As the version's schema asks. Raises Invalid naming every parameter that is not."""
    refused = schema.refusals(version.parameters or CLOSED, values)
    if refused:
        fields = {f"parameters.{name}".rstrip("."): sentences for name, sentences in refused.items()}
        raise Invalid(" ".join(f"{field}: {sentences[0]}" for field, sentences in fields.items()), fields=fields)
    return dict(values)


def environment(wanted: Mapping[str, str]) -> dict[str, str]:
    for variable, value in wanted.items():
        if not variables.allowed(variable):
            raise Invalid.field("env", f"“{variable[:60]}” cannot be used as a variable name here.")
        if len(value) > 4096 or "\0" in value or "{secret}" in value:
            raise Invalid.field("env", f"The value of {variable} must be text of at most 4,096 characters.")
    if len(wanted) > 100:
        raise Invalid.field("env", "At most 100 variables.")
    return dict(wanted)


def datasets(owner: User, names: Sequence[str]) -> list[Dataset]:
    """Those named, each once."""
    found = {dataset.name: dataset for dataset in access.datasets_for(owner).filter(name__in=names)}
    for unknown in [name for name in names if name not in found]:
        raise Invalid.field(
            "volumes",
            f"There is no dataset “{unknown[:60]}” for your teams.",
            next_step=Next("See your files", "/files/"),
        )
    return list(found.values())


def volumes(owner: User, names: Sequence[str]) -> tuple[list[Dataset], list[str]]:
    """The datasets among them, and the keys of what other apps let the owner read; each once."""
    known = set(access.datasets_for(owner).filter(name__in=names).values_list("name", flat=True))
    keys = [name for name in dict.fromkeys(names) if name not in known and _elsewhere(owner, name)]
    return datasets(owner, [name for name in names if name not in keys]), keys


def _elsewhere(owner: User, key: str) -> bool:
    try:
        place = files.elsewhere(owner, key)
    except Problem as problem:
        raise Invalid.field("volumes", problem.detail) from None
    if place and place.volume is None:
        raise Invalid.field("volumes", f"The files of {place.above[0]} were deleted.")
    return place is not None


def secrets(owner: User, team: Team, names: Sequence[str]) -> list[Secret]:
    """Those of the owner and of the team that pays, by name; a personal one hides the team's."""
    usable = secrets_by_name(owner, team) if names else {}
    for name in names:
        if name not in usable:
            sentence = f"There is no secret “{name[:100]}” of yours or of {team.name}."
            raise Invalid.field("secrets", sentence, next_step=Next("See your secrets", "/secrets/"))
    if len(set(names)) > MOST_SECRETS:
        raise Invalid.field("secrets", f"At most {MOST_SECRETS} secrets for one workspace.")
    return [usable[name] for name in dict.fromkeys(names)]


def auto_stop(template: Template, minutes: int | None) -> int | None:
    """Within what the template allows; None is the template's own rule."""
    if minutes is None:
        return None
    most = min(int(template_rule(template).most.total_seconds() // 60), LONGEST_MINUTES)
    if not SHORTEST_MINUTES <= minutes <= most:
        raise Invalid.field(
            "auto_stop_minutes", f"{template.name} stops after {SHORTEST_MINUTES} to {most} idle minutes."
        )
    return minutes


def keep_until(rule: Rule, until: datetime, now: datetime) -> datetime:
    """In the future, and no further than the template allows."""
    if not now < until <= now + rule.most + timedelta(minutes=1):
        latest = words.exactly(now + rule.most)
        raise Invalid.field("until", f"It can be kept running until {latest} at the latest, and not into the past.")
    return until
