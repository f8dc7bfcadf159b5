"""What a submission may ask for: each check gives the thing asked for, or raises Invalid naming the field."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from environments import access as environments
from environments import checks, named_images, repositories
from environments.access import Right
from environments.models import Dataset, Template, TemplateVersion, Workspace
from jobs import model_names, snapshots
from jobs.plan_states import AfterCondition
from jobs.states import UNCOUNTED, Priority, Then
from jobs.submission import Submission
from portal.accounts.access import leads, leads_of, team_for
from portal.accounts.models import Team, User
from portal.compute.states import FAILURES, Reason
from portal.lib.errors import Invalid, Next, Problem
from portal.usage import projects

NAME_LENGTH = 60
COMMAND_LENGTH = 100_000
COMMAND_PARTS = 1000
MOST_OUTPUTS = 50
MOST_PARAMETERS = 100
LARGEST_NUMBER = 10**1000
LONGEST_SECONDS = 30 * 24 * 3600
LONGEST_GRACE = LONGEST_RETRY_DELAY = 600
MOST_RETRIES = 10
MOST_RULES = 20
PARAMETER = re.compile(r"\{parameters\.([A-Za-z][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
REASONS = sorted((FAILURES - UNCOUNTED) | {Reason.MAX_DURATION})
"""What a rule may ask for."""
_RULE = {"exit_codes", "log_contains", "reason", "then"}


def columns(owner: User, asked: Submission) -> dict[str, Any]:
    """All that was asked, checked, as columns of a job; datasets, secrets and the name of the volume are left."""
    for field in ("template", "version", "image", "size", "team", "name", "folder", "workspace"):
        if "\0" in (getattr(asked, field) or ""):
            raise Invalid.field(field, "This has a character that text cannot have.")
    source = workspace(owner, asked)
    like = source if asked.template is None and asked.image is None else None
    given = parameters(asked.parameters)
    team = team_for(owner, source.team.slug if source and asked.team is None else asked.team)
    runs = image(team, asked) if asked.image is not None else version(owner, like, asked)
    return {
        "name": name(asked),
        "team": team,
        "project": projects.checked(source.project if source and asked.project is None else asked.project or ""),
        "version": runs,
        "size": checks.size(runs.template, like.size_id if like and asked.size is None else asked.size),
        "parameters": given,
        "command": command(asked.command, given),
        "environment": checks.environment(asked.env),
        "workspace": source,
        **code(owner, asked),
        "outputs": outputs(asked.outputs),
        **keeping(asked),
        "max_duration_seconds": _between("max_duration_seconds", asked.max_duration_seconds, 1, LONGEST_SECONDS),
        "grace_seconds": _between("grace_seconds", asked.grace_seconds, 0, LONGEST_GRACE),
        "retries": _between("retries", asked.retries, 0, MOST_RETRIES),
        "retry_delay_seconds": _between("retry_delay_seconds", asked.retry_delay_seconds, 0, LONGEST_RETRY_DELAY),
        "retry_rules": rules(asked.retry_rules),
        "priority": priority(owner, team, asked.priority),
        "after_condition": _one_of("after_condition", asked.after_condition, AfterCondition.values),
    }


def code(owner: User, asked: Submission) -> dict[str, Any]:
    """From one place at most; `snapshot` is that of the job whose code it shall have."""
    git_url = repositories.url(asked.git_url)
    if git_url and asked.folder:
        raise Invalid.field("git.url", "The code comes from your home or from a repository, not from both.")
    if asked.code_of and (git_url or asked.folder):
        raise Invalid.field("code_of", "The code is that of another job, or it is named here, not both.")
    shared = snapshots.of_job(owner, asked.code_of) if asked.code_of else None
    own = path("folder", asked.folder) if asked.folder else ""
    return {
        "git_url": git_url,
        "git_ref": repositories.ref(asked.git_ref, git_url),
        "folder": shared.folder if shared else own,
        "snapshot": shared,
    }


def template(owner: User, slug: str | None) -> Template:
    """One of those the owner's teams may use: of a job, or of a workspace whose environment the job shall have."""
    found = environments.templates_for(owner).filter(slug=(slug or "")[:60]).first()
    if found is None:
        raise Invalid.field(
            "template",
            f"There is no template “{(slug or '')[:60]}” for your teams."
            if slug
            else "Say in which environment it runs, such as “python”, or in which image.",
            next_step=Next("See the catalog", "/workspaces/new/"),
        )
    return found


def version(owner: User, like: Workspace | None, asked: Submission) -> TemplateVersion:
    """That of the workspace whose environment it shall have, unless another is asked for."""
    if like is None:
        return checks.version(template(owner, asked.template), asked.version)
    return checks.version_for(like, asked.version or like.version.version)


def image(team: Team, asked: Submission) -> TemplateVersion:
    """The version that stands for it; nobody has kept it where it is the first of its name."""
    if asked.template is not None:
        raise Invalid.field("image", "It runs in a template or in an image: name one of them.")
    if asked.version is not None:
        raise Invalid.field("version", "What is meant of an image stands in its own name, as tag or digest.")
    return named_images.version(team, asked.image or "")


def workspace(owner: User, asked: Submission) -> Workspace | None:
    if not asked.workspace:
        return None
    try:
        return environments.workspace_for(owner, asked.workspace, Right.OWN)
    except Problem as problem:
        raise Invalid.field("workspace", problem.detail) from None


def name(asked: Submission) -> str:
    """Trimmed; made from the command where none is given. Jobs may share a name."""
    wanted = asked.name.strip()
    if not wanted:
        files = [word for part in asked.command for word in part.split() if re.fullmatch(r"[\w./-]+\.\w{1,6}", word)]
        wanted = PurePosixPath(files[0]).name if files else (asked.template or "job")
        return wanted[:NAME_LENGTH]
    if len(wanted) > NAME_LENGTH or not wanted.isprintable():
        raise Invalid.field("name", f"Use 1 to {NAME_LENGTH} printable characters, such as “train churn-net”.")
    return wanted


def command(parts: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """Kept with its placeholders; those that no parameter fills are refused."""
    if not parts or not "".join(parts).strip():
        raise Invalid.field("command", "Say what it runs, such as “python train.py”.")
    if sum(map(len, parts)) > COMMAND_LENGTH or len(parts) > COMMAND_PARTS or any("\0" in part for part in parts):
        raise Invalid.field("command", f"A command is text of at most {COMMAND_LENGTH:,} characters.")
    for known in PARAMETER.findall(" ".join(parts)):
        if known not in given:
            raise Invalid.field("command", f"There is no parameter “{known}” to fill in for {{parameters.{known}}}.")
    return list(parts)


def parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Names like variables, values that are text, a number or yes/no."""
    for key, value in given.items():
        if not _NAME.fullmatch(key):
            raise Invalid.field("parameters", f"“{key[:60]}” cannot be a name: use letters, digits and _.")
        if not _scalar(value):
            raise Invalid.field("parameters", f"{key} must be a text of at most 1,000 characters, a number or yes/no.")
    if len(given) > MOST_PARAMETERS:
        raise Invalid.field("parameters", f"At most {MOST_PARAMETERS} parameters.")
    return dict(given)


def _scalar(value: Any) -> bool:
    match value:
        case str():
            return len(value) <= 1000 and "\0" not in value
        case float():
            return math.isfinite(value)
        case int():
            return abs(value) < LARGEST_NUMBER
        case _:
            return False


def priority(owner: User, team: Team, wanted: str) -> str:
    """`high` is for who leads the team that pays, and for staff."""
    known = _one_of("priority", wanted, Priority.values)
    if known == Priority.HIGH and not (owner.is_staff or leads(owner).filter(pk=team.pk).exists()):
        who = " or ".join(lead.get_full_name() for lead in leads_of(team)) or "an administrator"
        sentence = f"Only who leads {team.name} may give a job high priority: choose normal, or ask {who} to submit it."
        raise Invalid.field("priority", sentence)
    return known


def inputs(owner: User, names: Sequence[str], field: str = "inputs") -> list[Dataset]:
    try:
        return checks.datasets(owner, names)
    except Invalid as problem:
        raise Invalid.field(field, problem.detail, next_step=problem.next_step) from None


def path(field: str, text: str) -> str:
    """Relative, and no way out of the folder it starts in."""
    parts = PurePosixPath(text).parts
    if not text.isprintable() or len(text) > 500 or text.startswith("/") or ".." in parts or "~" in parts[:1]:
        raise Invalid.field(field, f"“{text[:80]}” must be a path inside the working folder, such as “outputs/plots”.")
    return str(PurePosixPath(text))


def outputs(wanted: Sequence[str]) -> list[str]:
    if len(wanted) > MOST_OUTPUTS:
        raise Invalid.field("outputs", f"At most {MOST_OUTPUTS} paths.")
    return list(dict.fromkeys(path("outputs", one.strip()) for one in wanted if one.strip()))


def keeping(asked: Submission) -> dict[str, str]:
    """Both a name and a path, or neither."""
    if not asked.keep_as and not asked.keep_path:
        return {"keep_as": "", "keep_path": ""}
    name, where = model_names.checked("model.name", asked.keep_as), path("model.path", asked.keep_path.strip())
    if where == ".":
        raise Invalid.field("model.path", "Say which file or folder, such as “outputs/model.pkl”.")
    return {"keep_as": name, "keep_path": where}


def rules(wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As states.Retries explains them."""
    if len(wanted) > MOST_RULES:
        raise Invalid.field("retry_rules", f"At most {MOST_RULES} rules.")
    return [_rule(number, rule) for number, rule in enumerate(wanted, start=1)]


def _rule(number: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    codes, text = rule.get("exit_codes", [0]), rule.get("log_contains", "x")
    wrong = (
        (set(rule) - _RULE or len(rule) < 2, "name exit_codes, log_contains or reason, and what to do then"),
        (rule.get("then") not in Then.values, f"then must be one of {', '.join(Then.values)}"),
        (not _exit_codes(codes), "exit_codes is a list of numbers from 0 to 255"),
        (not isinstance(text, str) or not 0 < len(text) <= 200 or "\0" in text, "log_contains is a text to look for"),
        ("reason" in rule and rule["reason"] not in REASONS, f"reason is one of {', '.join(REASONS)}"),
    )
    for refused, sentence in wrong:
        if refused:
            raise Invalid.field("retry_rules", f"Rule {number}: {sentence}.")
    return dict(rule)


def _exit_codes(codes: Any) -> bool:
    known = isinstance(codes, list) and 0 < len(codes) <= 256
    return known and all(type(one) is int and 0 <= one <= 255 for one in codes)


def _one_of(field: str, wanted: str, known: Sequence[str]) -> str:
    if wanted not in known:
        raise Invalid.field(field, f"Choose one of: {', '.join(known)}.")
    return wanted


def _between(field: str, value: int | None, least: int, most: int) -> int | None:
    if value is not None and not least <= value <= most:
        raise Invalid.field(field, f"Choose a number from {least} to {most:,}.")
    return value
