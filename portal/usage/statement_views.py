"""Pages of statements: the list, one to print, and its lines as CSV."""

from collections.abc import Iterator
from decimal import Decimal

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib import clock, spreadsheets
from portal.usage import access
from portal.usage.models import Statement
from portal.usage.reports import NONE
from portal.usage.statements import Line, exact, lines

PAGE_SIZE = 50
HEAD = [
    "month",
    "user",
    "kind",
    "template",
    "meter",
    "gpu_class",
    "quantity_hours",
    "price_per_hour",
    "amount",
    "currency",
    "quantity_seconds",
]


@login_required
@require_safe
def statements(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    access.billing(user)
    page = Paginator(access.statements(user), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "usage/statements.html", {"page": page, "month": f"{clock.now():%Y-%m}"})


@login_required
@require_safe
def statement(request: HttpRequest, pk: str) -> HttpResponse:
    found = access.statement_for(signed_in(request.user), pk)
    rows = _named(lines(found))
    context = {
        "statement": found,
        "parts": [
            ("Used in this month", [row for row in rows if row[1].month == found.month]),
            ("Corrections of earlier months", [row for row in rows if row[1].month != found.month]),
        ],
        "exact": _digits(exact(found)),
        "rounding": _digits(found.total - exact(found)),
    }
    return render(request, "usage/statement.html", context)


def _named(rows: list[Line]) -> list[tuple[str, Line]]:
    """Each with what its person is called."""
    people = {one.username: one.get_full_name() for one in User.objects.filter(username__in={row.user for row in rows})}
    return [(people.get(row.user) or row.user or NONE["user"], row) for row in rows]


@login_required
@require_safe
def export(request: HttpRequest, pk: str) -> StreamingHttpResponse:
    found = access.statement_for(signed_in(request.user), pk)
    name = f"berth-statement-{found.team.slug}-{found.month:%Y-%m}-{found.currency}.csv"
    return spreadsheets.download(name, _rows(found))


def _rows(found: Statement) -> Iterator[list[str]]:
    yield HEAD
    for line in lines(found):
        named = [f"{line.month:%Y-%m}", line.user, line.kind, line.template, line.meter, line.gpu_class]
        priced = [_digits(line.hours), f"{line.price_per_hour:f}", _digits(line.amount), found.currency]
        yield [*named, *priced, f"{line.held:f}"]


def _digits(number: Decimal) -> str:
    return f"{number:.10f}"
