"""Page of prices for administrators: what a month would have cost at others, as CSV too, and who published which."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.accounts.access import signed_in
from portal.accounts.models import Team
from portal.lib import clock, spreadsheets, words
from portal.lib.errors import Forbidden, Invalid
from portal.lib.money import Money
from portal.usage import periods, what_if
from portal.usage.metering import prices
from portal.usage.meters import sku_words
from portal.usage.models import Price
from portal.usage.what_if import Compared

ROWS = 100
PAGE_SIZE = 50
HEAD = ["month", "team", "billed", "at_these_prices", "difference", "currency"]


class MonthForm(forms.Form):
    month = forms.CharField(widget=forms.TextInput(attrs={"type": "month"}), help_text="From midnight to midnight UTC.")

    def clean_month(self) -> str:
        name = str(self.cleaned_data["month"])
        try:
            begin, _ = periods.month_named(name)
        except Invalid as problem:
            raise forms.ValidationError(problem.detail) from problem
        if begin > clock.now():
            raise forms.ValidationError("This month has not begun yet.")
        return name


class PricesForm(MonthForm):
    """A price for each SKU besides."""

    def __init__(self, data: Mapping[str, str], skus: Iterable[str]) -> None:
        super().__init__(data)
        for sku in skus:
            self.fields[sku] = forms.DecimalField(label=sku_words(sku), min_value=0, max_digits=13, decimal_places=6)

    @property
    def per_hour(self) -> dict[str, Decimal]:
        return {name: amount for name, amount in self.cleaned_data.items() if name != "month"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`left_out` are other currencies, of which nothing is counted."""

    form: PricesForm
    rows: list[Compared]
    left_out: list[str]


@login_required
@require_safe
def simulate(request: HttpRequest) -> HttpResponse:
    """`?month=2026-11&cpu=0.03`; by default last month and the prices in force."""
    return _page(request, _answer(request))


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """A line for each team."""
    answer = _answer(request)
    if answer.form.errors:
        return _page(request, answer)
    month = answer.form.cleaned_data["month"]
    lines = [[month, one.team, *_digits(one), settings.CURRENCY] for one in answer.rows]
    return spreadsheets.download(f"berth-prices-{month}.csv", [HEAD, *lines])


def _answer(request: HttpRequest) -> Answer:
    """Raises Forbidden."""
    if not signed_in(request.user).is_staff:
        raise Forbidden("Only administrators compare prices.")
    query = {"month": _last_month()} | request.GET.dict()
    month = MonthForm(query)
    held = what_if.held(periods.month_named(month.cleaned_data["month"])) if month.is_valid() else []
    current = prices(clock.now())
    skus = sorted({*current, *(sku for row in held for sku in row.quantities)})
    form = PricesForm({sku: words.plain(current[sku][0]) for sku in skus} | query, skus)
    counted = [row for row in held if row.currency == settings.CURRENCY]
    rows = what_if.compared(counted, form.per_hour) if form.is_valid() else []
    return Answer(form, rows, sorted({row.currency for row in held} - {settings.CURRENCY}))


def _last_month() -> str:
    begin, _ = clock.month_of(clock.now())
    return f"{begin - timedelta(days=1):%Y-%m}"


def _digits(one: Compared) -> list[str]:
    return [f"{amount:.10f}" for amount in (one.billed, one.simulated, one.difference)]


def _page(request: HttpRequest, answer: Answer) -> HttpResponse:
    names = dict(Team.objects.values_list("slug", "name"))
    query = request.GET.copy()
    query.pop("page", None)
    history = Price.objects.order_by("-valid_from", "sku")
    context = {
        "form": answer.form,
        "rows": [(names.get(one.team, one.team), _amounts(one)) for one in answer.rows[:ROWS]],
        "total": _amounts(what_if.total(answer.rows)),
        "more": len(answer.rows) - ROWS,
        "left_out": answer.left_out,
        "query": query.urlencode(),
        "page": Paginator(history, PAGE_SIZE).get_page(request.GET.get("page")),
    }
    return render(request, "usage/prices.html", context, status=422 if answer.form.errors else 200)


def _amounts(one: Compared) -> list[Money]:
    return [Money(amount, settings.CURRENCY) for amount in (one.billed, one.simulated, one.difference)]
