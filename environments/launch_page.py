"""Gathers what the launch page and the cards that launch again show."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from environments import cards, links, pages, repositories
from environments.cards import Row
from environments.idle import template_rule
from environments.launch import Launch
from environments.launch_form import LaunchForm
from environments.models import Configuration, Template
from portal.accounts.access import teams_of
from portal.accounts.models import User
from portal.lib import words
from portal.lib.money import Money
from portal.usage import costs

USUAL_HOURS = 4
STARTS = {
    "now": "now, in a few seconds",
    "queue": "when there is room",
    "never": "not in this size: no machine is large enough",
}


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A saved configuration in a list."""

    id: str
    name: str
    template: str
    template_name: str
    icon_letter: str
    icon_colour: str
    detail: str
    per_hour: Money | None
    preferred: bool


def saved_card(configuration: Configuration, prices: dict[str, Money]) -> SavedCard:
    template, asked = configuration.template, configuration.launch
    size = asked.get("size") or template.default_size_id
    detail = " · ".join(filter(None, [template.name, size, asked.get("git_url", "")]))
    return SavedCard(
        id=configuration.pk,
        name=configuration.name,
        template=template.slug,
        template_name=template.name,
        icon_letter=template.icon_letter,
        icon_colour=template.icon_colour,
        detail=detail,
        per_hour=prices.get(size),
        preferred=configuration.preferred,
    )


def context(user: User, template: Template, form: LaunchForm, asked: Launch) -> dict[str, Any]:
    """`asked` is what the form holds now; the sentences about cost and time follow it."""
    sizes = [size for size in template.sizes.all() if not size.retired]
    chosen = next((size for size in sizes if size.slug == asked.size), template.default_size)
    shown = pages.sizes_for_launch(sizes, chosen.slug, user, team=asked.team, project=asked.project)
    taken = next(size for size in shown if size.checked)
    price = taken.per_hour
    card = cards.template_card(template, costs.per_hour(sizes))
    return links.shown(template, replace(asked, size=chosen.slug)) | {
        "template": card,
        "form": form,
        "sizes": shown,
        "with_gpus": any(size.gpu_class_id for size in sizes),
        "per_hour": price,
        "usual": Money(price.amount * USUAL_HOURS, price.currency),
        "usual_text": f"a usual {USUAL_HOURS} h session",
        "summary": summary(template, card, asked, taken.truth_state),
        "charged_to": _charged_to(user, asked),
        "live_topics": [card.topic],
    }


def summary(template: Template, card: cards.TemplateCard, asked: Launch, state: str) -> list[Row]:
    """What a person wants to know before they press Launch, beside the price; `state` as in Availability."""
    return [
        Row("Starts", _starts(card, state)),
        Row("Stops", _stops(template, asked)),
        *([Row("Code", f"~/{repositories.folder(asked.git_url)}")] if asked.git_url else []),
        Row("Stays", "your home and your teams' folders"),
        Row("Does not stay", "/tmp, system packages"),
    ]


def _stops(template: Template, asked: Launch) -> str:
    after = template_rule(template).after
    if asked.auto_stop_minutes:
        after = timedelta(minutes=asked.auto_stop_minutes)
    idle = f"after {words.duration(after.total_seconds())} without use, or " if after else ""
    return f"{idle}when you stop it"


def _starts(card: cards.TemplateCard, state: str) -> str:
    if card.image_state != "ready" and state != "never":
        return "when its image is built"
    return STARTS[state]


def _charged_to(user: User, asked: Launch) -> str:
    names = dict(teams_of(user).values_list("slug", "name"))
    return names.get(asked.team or "") or next(iter(names.values()), "no team yet")


def rows(asked: Launch) -> list[Row]:
    """What a saved launch says, in words; of variables and secrets their names only."""
    variables = ", ".join(asked.env)
    found = {
        "Version": asked.version or "the newest",
        "Size": asked.size or "the template's default",
        "Charged to": asked.team or "your first team",
        "Project": asked.project,
        **{f"Setting {name}": str(value) for name, value in asked.parameters.items()},
        "Git repository": asked.git_url,
        "Branch, tag or commit": asked.git_ref,
        "Datasets and folders": ", ".join(asked.volumes),
        "Secrets": ", ".join(asked.secrets),
        "Environment variables": variables,
        "Stops after minutes without use": str(asked.auto_stop_minutes or ""),
    }
    return [Row(label, value) for label, value in found.items() if value]
