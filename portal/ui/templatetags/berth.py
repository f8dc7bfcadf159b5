"""Components of the pages: icons, states, times, amounts, charts, form fields, navigation."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms, template
from django.forms import BoundField
from django.template import Context
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.announcements.access import TOPIC as ANNOUNCEMENTS
from portal.lib import charts, clock, words
from portal.lib.money import Money
from portal.live import topics
from portal.notices.access import topic as notices_topic

register = template.Library()

# state: (colour of the dot, word)
STATES = {
    "queued": ("amber", "Waiting"),
    "starting": ("blue", "Starting"),
    "running": ("green", "Running"),
    "suspended": ("grey", "Suspended"),
    "stopping": ("blue", "Stopping"),
    "stopped": ("grey", "Stopped"),
    "failed": ("red", "Failed"),
    "succeeded": ("green", "Succeeded"),
    "cancelled": ("grey", "Cancelled"),
    "timed_out": ("red", "Timed out"),
    "lost": ("red", "Lost"),
    "unreachable": ("amber", "Not answering"),
    "deleted": ("grey", "Deleted"),
    "ready": ("green", "Ready"),
    "building": ("blue", "Building"),
    "missing": ("grey", "Not built"),
    "removed": ("grey", "Not on the machine"),
    "sent": ("green", "Sent"),
    "waiting": ("amber", "Waiting"),
    "now": ("green", "Starts now"),
    "queue": ("amber", "Waits"),
    "never": ("grey", "Never"),
    "submitted": ("amber", "Waits for an answer"),
    "needs_info": ("amber", "Asked back"),
    "approved_once": ("amber", "Waits for a second approval"),
    "approved": ("green", "Approved"),
    "partly_approved": ("green", "Partly approved"),
    "denied": ("red", "Denied"),
    "withdrawn": ("grey", "Withdrawn"),
    "expired": ("grey", "Over"),
    "scheduled": ("blue", "Begins later"),
    "active": ("green", "Active"),
    "expiring": ("amber", "Ends soon"),
    "revoked": ("red", "Revoked"),
}
MOVING = frozenset({"queued", "starting", "stopping", "unreachable", "building"})
SECTIONS = {
    "home": "home",
    "workspaces": "workspaces",
    "workspace": "workspaces",
    "launch": "workspaces",
    "configuration": "workspaces",
    "jobs": "jobs",
    "job": "jobs",
    "sweeps": "jobs",
    "sweep": "jobs",
    "schedules": "jobs",
    "schedule": "jobs",
    "models": "jobs",
    "model": "jobs",
    "model-version": "jobs",
    "catalog": "catalog",
    "files": "files",
    "gpu": "gpu-board",
    "node": "gpu-board",
    "allocation": "gpu-board",
    "quota": "quota",
    "approvals": "approvals",
    "delegate": "approvals",
    "usage": "usage",
    "announcements": "announcements",
    "announcement": "announcements",
    "people": "people",
    "person": "people",
    "audit": "audit",
    "health": "health",
    "images": "images",
    "image": "images",
    "secrets": "secrets",
    "secret": "secrets",
    "tokens": "tokens",
    "token": "tokens",
    "keys": "keys",
    "webhooks": "webhooks",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite; decoration only, so a word stands beside it."""
    sprite = static("vendor/icons.svg")
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name)


@register.simple_tag
def status(state: str, word: str = "") -> SafeString:
    """A dot and a word: the word of the state, or a better one."""
    colour, default = STATES.get(state, ("grey", state))
    return format_html(
        '<span class="status-word"><span class="dot dot-{}" aria-hidden="true"></span>{}</span>',
        colour,
        word or default,
    )


@register.filter
def state_word(state: str) -> str:
    return STATES.get(state, ("", state))[1]


@register.filter
def moving(state: str) -> bool:
    """Whether this state changes by itself soon."""
    return state in MOVING


@register.simple_tag
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, or in how long; the exact time on hover."""
    return _time(at, words.moment(at, clock.now())) if at else "never"


@register.simple_tag
def point(at: datetime) -> SafeString:
    """The moment itself: 14:02 UTC, with its day where that is not today."""
    return _time(at, words.point(at, clock.now()))


@register.simple_tag
def since(at: datetime) -> SafeString:
    """How long it has lasted."""
    return _time(at, words.duration((clock.now() - at).total_seconds()))


def _time(at: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), words.exactly(at), text)


@register.simple_tag
def zone() -> str:
    """What the times of this page go by now."""
    return words.zone(clock.now())


@register.filter
def duration(seconds: float | None) -> str:
    return "" if seconds is None else words.duration(seconds)


@register.filter
def money(value: Money | None) -> str:
    return "—" if value is None else words.money(value)


@register.filter
def plain(value: Money | str) -> str:
    """A value of a details row: money is written as money."""
    return words.money(value) if isinstance(value, Money) else str(value)


@register.filter
def lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)


@register.filter(name="bytes")
def size_in_bytes(count: float | None) -> str:
    return "—" if count is None else words.size(count)


@register.filter
def amount(value: float, unit: str) -> str:
    return charts.amount(value, unit)


@register.simple_tag
def sparkline(values: Iterable[float], limit: float, label: str) -> SafeString:
    return charts.sparkline(list(values), limit, label)


@register.inclusion_tag("components/chart.html")
def chart(label: str, points: Sequence[charts.Point], limit: float, unit: str) -> dict[str, Any]:
    """The line, its figures and the same numbers as a table."""
    series = charts.Series(label, points, limit, unit)
    return {
        "series": series,
        "drawing": charts.line_chart(series),
        "last": series.points[-1][1] if series.points else None,
        "rows": list(reversed(series.points))[:60],
    }


@register.inclusion_tag("components/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """A form field with its label, help and error; the first bad one takes the focus."""
    first_bad = next((name for name in bound.form.fields if name in bound.form.errors), None)
    return {
        "field": bound,
        "choices": bound.subwidgets if bound.use_fieldset else None,
        "is_switch": isinstance(bound.field.widget, forms.CheckboxInput),
        "widget": None if bound.use_fieldset else bound.as_widget(attrs=_attributes(bound, first_bad)),
        "describedby": bound.aria_describedby,
    }


def _attributes(bound: BoundField, first_bad: str | None) -> dict[str, Any]:
    select = isinstance(bound.field.widget, forms.Select)
    switch = isinstance(bound.field.widget, forms.CheckboxInput)
    attributes: dict[str, Any] = {"class": "form-select" if select else "switch" if switch else "form-control"}
    if bound.errors:
        attributes["class"] += " is-invalid"
    if bound.name == first_bad:
        attributes["autofocus"] = True
    return attributes


@register.simple_tag(takes_context=True)
def live(context: Context, names: Iterable[str] = ()) -> SafeString:
    """Where this page's stream is: these names, the announcements and the bell, signed for the person who looks."""
    user = context["request"].user
    query = urlencode({"topics": topics.sign(str(user.pk), [*names, ANNOUNCEMENTS, notices_topic(user.pk)])})
    return format_html('data-live="{}?{}"', reverse("live"), query)


@register.inclusion_tag("components/nav_link.html", takes_context=True)
def nav_link(context: Context, section: str, icon_name: str, label: str) -> dict[str, Any]:
    """An entry of the side bar, marked where the page belongs to it."""
    match = context["request"].resolver_match
    name = (match.url_name or "") if match else ""
    current = SECTIONS.get(name.split("-")[0]) == section
    return {"url": reverse(section), "icon_name": icon_name, "label": label, "current": current}
