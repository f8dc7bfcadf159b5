"""What the list of jobs shows: its filters, what may be chosen in them, views that were saved, one page of rows."""

from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.http import QueryDict
from django.urls import reverse

from environments.access import offered_to
from environments.cards import Filter
from environments.models import Template
from jobs import access, cancelling, finding, pages, tracking
from jobs.states import JobState
from portal.accounts import saved_views
from portal.accounts.access import teams_of
from portal.accounts.models import Team, User
from portal.compute.states import Reason
from portal.lib import words

PAGE = "jobs"
PAGE_SIZE = 50
MOST_PEOPLE = 200
CHOSEN = ("search", "template", "team", "owner")
NARROWED = ("name", "project", "reason", "since", "ended_since", "ended_before")
"""What only links ask for: said above the list, not chosen in it."""
KEPT = ("state", *NARROWED, *CHOSEN)
"""What a view of the list is made of; its page number is not."""

Choices = list[tuple[str, str]]


def context(user: User, query: QueryDict) -> dict[str, Any]:
    """Raises Invalid for a filter that makes no sense."""
    asked = finding.asked(query)
    state = asked.pop("state", "")
    rows = finding.matching(user, asked)
    found = pages.counts(rows)
    chosen = rows.filter(state=state) if state else rows
    paginator = Paginator(chosen.values_list("pk", flat=True), PAGE_SIZE)
    paginator.count = found[state]
    page = paginator.get_page(query.get("page"))
    # What a row is joined with is fetched for this page alone, however far down it is.
    jobs = access.visible_to(user).filter(pk__in=list(page.object_list))
    shown, topic, kept = pages.job_cards(list(jobs)), f"jobs-{user.pk}", kept_of(query)
    return {
        "cards": shown,
        "filters": _chips(kept, found, state),
        "values": {name: query.get(name, "") for name in KEPT},
        "unseen": {name: query[name] for name in ("state", *NARROWED) if query.get(name)},
        "narrowed": [(said, _without(kept, name)) for name, said in _narrowed(asked)],
        "choices": _choices(user),
        "saved": saved_views.of(user, PAGE, kept.urlencode()),
        "page": page,
        "query": kept.urlencode(),
        "cancel_all": _cancel_all(chosen, kept),
        "mlflow": tracking.ways_in(user),
        "list_topic": topic,
        "live_topics": [topic, *(card.topic for card in shown)],
    }


def kept_of(query: QueryDict) -> QueryDict:
    """Only what says which jobs are shown, in one order."""
    kept = QueryDict(mutable=True)
    kept.update({name: str(query[name]) for name in KEPT if query.get(name)})
    return kept


def _narrowed(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each with the words for it."""
    for name in (name for name in NARROWED if name in asked):
        value = asked[name]
        match name:
            case "name":
                yield name, f"Named “{value}”"
            case "project":
                yield name, f"Project {value}"
            case "reason":
                yield name, Reason(value).label
            case "since":
                yield name, f"Sent off since {words.exactly(value)}"
            case "ended_since":
                yield name, f"Ended since {words.exactly(value)}"
            case "ended_before":
                yield name, f"Ended before {words.exactly(value)}"


def _without(kept: QueryDict, name: str) -> str:
    query = kept.copy()
    query.pop(name, None)
    return f"?{query.urlencode()}"


def _chips(kept: QueryDict, found: dict[str, int], state: str) -> list[Filter]:
    chips = []
    for value, label in [("", "All"), *JobState.choices]:
        query = kept.copy()
        query.pop("state", None)
        if value:
            query["state"] = value
        chips.append(Filter(str(label), f"?{query.urlencode()}", found[value], value == state))
    return chips


def _choices(user: User) -> dict[str, Choices]:
    templates = Template.objects.all() if user.is_staff else offered_to(user)
    teams = Team.objects.all() if user.is_staff else teams_of(user)
    return {
        "template": list(templates.order_by("position", "slug").values_list("slug", "name")),
        "team": list(teams.order_by("slug").values_list("slug", "name")),
        "owner": _people(user),
    }


def _people(user: User) -> Choices:
    """Whose jobs one may look at; empty for who sees only their own."""
    named = [(one.username, one.get_full_name()) for one in finding.people(user)[:MOST_PEOPLE]]
    return [(finding.ALL, "All I may see"), *named] if named else []


def _cancel_all(chosen: Any, kept: QueryDict) -> dict[str, Any] | None:
    """Where all that are shown and not over can be cancelled, if there are any beyond this page."""
    number = cancelling.open_(chosen).count()
    return {"number": number, "url": f"{reverse('jobs-cancel-found')}?{kept.urlencode()}"} if number else None
