"""Which jobs a query asks for: the same on the page, in the API, and where many are cancelled at once."""

from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework import serializers

from environments.access import offered_to
from environments.models import Template
from jobs import access
from jobs.models import Job
from jobs.states import JobState
from portal.accounts.access import leads, of_team
from portal.accounts.models import User
from portal.compute.states import Reason
from portal.lib.errors import Invalid
from portal.lib.rest import Text, checked, invalid

MINE, ALL = "me", "all"
COLUMNS = {
    "state": "state",
    "reason": "reason",
    "name": "name",
    "project": "project",
    "search": "name__icontains",
    "since": "created_at__gte",
    "ended_since": "ended_at__gte",
    "ended_before": "ended_at__lt",
}
"""What a value of the filter is held against, where it means the same for everybody."""


class JobFilter(serializers.Serializer[Any]):
    state = serializers.ChoiceField(JobState.choices, required=False)
    reason = serializers.ChoiceField(Reason.choices[1:], required=False, help_text="Why it ended.")
    team = Text(required=False, max_length=50)
    template = Text(required=False, max_length=60)
    project = Text(required=False, max_length=40)
    name = Text(required=False, max_length=60, help_text="All of it.")
    search = Text(required=False, max_length=60, help_text="A part of the name, in any case.")
    since = serializers.DateTimeField(required=False, help_text="Created then or later.")
    ended_since = serializers.DateTimeField(required=False, help_text="Ended then or later.")
    ended_before = serializers.DateTimeField(required=False, help_text="Ended before then.")
    owner = Text(
        default=MINE,
        max_length=150,
        help_text="`me`, `all` I may see (leads see their team's, administrators everyone's), or the username of one.",
    )


def asked(query: QueryDict) -> dict[str, Any]:
    """The values of a query string for `matching`; what is empty asks for nothing. Raises Invalid."""
    try:
        return checked(JobFilter, {name: value for name, value in query.items() if value})
    except serializers.ValidationError as error:
        raise invalid(error) from error


def matching(user: User, query: dict[str, Any]) -> QuerySet[Job]:
    """The jobs a JobFilter asks for. Raises Invalid for a person, team or template that the user cannot know."""
    rows = _owned(user, query["owner"])
    rows = rows.filter(**{COLUMNS[name]: query[name] for name in COLUMNS.keys() & query.keys()})
    if team := query.get("team"):
        rows = of_team(user, rows, team)
    if template := query.get("template"):
        rows = _of_template(user, rows, template)
    return rows


def _owned(user: User, whose: str) -> QuerySet[Job]:
    if whose == MINE:
        return access.jobs_of(user)
    rows = access.visible_to(user)
    if whose == ALL:
        return rows
    found = rows.filter(owner__username=whose)
    if whose != user.username and not people(user).filter(username=whose).exists() and not found.exists():
        raise Invalid.field("owner", f"There is nobody “{whose}” whose jobs you may see.")
    return found


def people(user: User) -> QuerySet[User]:
    """Whose jobs they may look at beside their own: as lead those of their teams, as staff everyone's."""
    others = User.objects.exclude(pk=user.pk).filter(is_active=True).order_by("username")
    return others if user.is_staff else others.filter(memberships__team__in=leads(user)).distinct()


def _of_template(user: User, rows: QuerySet[Job], slug: str) -> QuerySet[Job]:
    known = Template.objects.all() if user.is_staff else offered_to(user)
    found = rows.filter(version__template=slug)
    if not known.filter(slug=slug).exists() and not found.exists():
        raise Invalid.field("template", f"There is no template “{slug}” for your teams.")
    return found
