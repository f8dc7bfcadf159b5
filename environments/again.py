"""Cards on Home that launch with one click: saved configurations, then each template as it was used last."""

from collections.abc import Iterator
from dataclasses import dataclass

from environments import access, cards
from environments.models import Template
from portal.accounts.models import User
from portal.compute import admission
from portal.compute.models import Size
from portal.usage import costs

SAVED_SHOWN = 3
TEMPLATES_SHOWN = 3
LOOKED_AT = 20
WORDS = {"now": "starts now", "queue": "waits for room", "never": "does not fit this machine"}


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    template: Template
    size: Size
    field: str
    value: str
    more: str = ""


def quick(user: User) -> list[cards.QuickLaunch]:
    """A fixed number of queries, whatever a person has."""
    found = list(_candidates(user))
    sizes = list({one.size.slug: one.size for one in found}.values())
    prices, truths = costs.per_hour(sizes), admission.availability(sizes, user)
    return [
        cards.QuickLaunch(
            name=one.name,
            detail=" · ".join(filter(None, [one.size.slug, one.more])),
            icon_letter=one.template.icon_letter,
            icon_colour=one.template.icon_colour,
            per_hour=prices[one.size.slug],
            truth=WORDS[truths[one.size.slug].state],
            truth_state=truths[one.size.slug].state,
            field=one.field,
            value=one.value,
        )
        for one in found
    ]


def _candidates(user: User) -> Iterator[_Candidate]:
    templates = {t.slug: t for t in access.templates_for(user).filter(kind="workspace")}
    saved = list(access.configurations_of(user))
    preferred = {one.template_id: one.launch.get("size") for one in saved if one.preferred}
    for one in [one for one in saved if not one.preferred][:SAVED_SHOWN]:
        template = templates[one.template_id]
        size = _size(template, one.launch.get("size"))
        yield _Candidate(one.name, template, size, "configuration", one.pk, template.name)
    recent = list(access.workspaces_of(user)[:LOOKED_AT])
    used = {workspace.version.template_id: workspace for workspace in reversed(recent)}
    ordered = sorted(templates.values(), key=lambda t: (t.slug not in used, t.position))
    for template in ordered[:TEMPLATES_SHOWN]:
        last = used.get(template.slug)
        if last is None:
            size = _size(template, preferred.get(template.slug))
            yield _Candidate(template.name, template, size, "template", template.slug)
        else:
            more = last.git_url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
            yield _Candidate(template.name, template, last.size, "workspace", last.pk, more)


def _size(template: Template, slug: str | None) -> Size:
    return next((size for size in template.sizes.all() if size.slug == slug), template.default_size)
