"""What `components/log.html` shows: a window of an allocation's log, at the place that a query names.

A page includes it with `log=log_page.view(allocation, request.GET, …)`; the fragment's address answers with it alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from portal.compute import log_reading as reading
from portal.compute.answers import LARGEST_SEQ, MOST_SEARCHED
from portal.compute.lines import Line
from portal.compute.log_html import Marked, row
from portal.compute.log_reading import Page
from portal.compute.models import Allocation
from portal.compute.states import LogState

ROWS = 500
BEFORE = 100
"""Rows above the line that was asked for."""


class PlaceForm(forms.Form):
    """Where to look. With `search`, the next hit after `after` or before `before`; else the first that is named."""

    line = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_SEQ)
    at = forms.DateTimeField(required=False)
    before = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_SEQ)
    after = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_SEQ)
    search = forms.CharField(required=False, max_length=MOST_SEARCHED, strip=False)
    case = forms.BooleanField(required=False)
    stream = forms.ChoiceField(required=False, choices=[("", "All"), ("stdout", "stdout"), ("stderr", "stderr")])


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of the page's own fragment, of the whole text and of the live lines; `topic` tells that a log may be another."""

    fragment: str
    text: str
    live: str
    topic: str


@dataclass(frozen=True, slots=True)
class LogView:
    """`total` counts the archived lines; `sentence` says which of them are shown."""

    addresses: Addresses
    form: PlaceForm
    note: str = ""
    sentence: str = "Nothing written yet."
    rows: list[SafeString] = field(default_factory=list)
    total: int = 0
    at_end: bool = True
    is_open: bool = False
    places: list["Place"] = field(default_factory=list)
    source: str = ""


class Place(NamedTuple):
    """A link to another part of the log."""

    name: str
    label: str
    query: str


def view(
    allocation: Allocation | None,
    query: QueryDict,
    addresses: Addresses,
    own: Iterable[tuple[datetime, str]] = (),
) -> LogView:
    """`own` is what Berth itself did and when, in order; it stands among the lines by its time."""
    form = PlaceForm(query, auto_id="log-%s")
    form.is_valid()
    place: dict[str, Any] = form.cleaned_data
    if allocation is None:
        return LogView(addresses, form, places=_places(place, _Found(Page([], 0, 0))))
    total = reading.last_seq(allocation)
    found = _Search(allocation, place, total).found() if place.get("search") else _window(allocation, place, total)
    marked = Marked(place.get("search") or "", bool(place.get("case")), found.chosen)
    lines = merge(found.page.lines, _own(own, found.page, total), key=lambda line: line.at)
    return LogView(
        addresses,
        form,
        note=_note(allocation, total),
        sentence=found.sentence or _range(found.page, total),
        rows=[row(line, marked) for line in lines],
        total=total,
        at_end=found.page.last >= total and not found.chosen,
        is_open=allocation.log_state == LogState.OPEN,
        places=_places(place, found),
        source=allocation.pk,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """`chosen` is the line asked for; `proceed` names where a search goes on that looked at all it may at once."""

    page: Page
    chosen: int = 0
    sentence: str = ""
    proceed: dict[str, int] = field(default_factory=dict)


def _window(allocation: Allocation, place: dict[str, Any], total: int) -> _Found:
    wanted = _wanted(place)
    if place.get("line"):
        return _Found(_around(allocation, place["line"], wanted), place["line"])
    if place.get("at"):
        first = reading.first_since(allocation, place["at"])
        if first is None:
            return _Found(_end(allocation, total, wanted), sentence="Nothing was written then or later.")
        return _Found(_around(allocation, first, wanted), first)
    if place.get("before"):
        found = reading.page(reading.lines_before(allocation, place["before"]), ROWS, wanted, bars=False)
        return _Found(found if found.last else _beginning(allocation, wanted))
    if place.get("after") is not None:
        found = reading.page(reading.lines_after(allocation, place["after"]), ROWS, wanted, bars=False)
        return _Found(found if found.last else _end(allocation, total, wanted))
    return _Found(_end(allocation, total, wanted))


def _beginning(allocation: Allocation, wanted: reading.Test | None) -> Page:
    return reading.page(reading.lines_after(allocation), ROWS, wanted, bars=False)


def _end(allocation: Allocation, total: int, wanted: reading.Test | None) -> Page:
    return reading.page(reading.lines_before(allocation, total + 1), ROWS, wanted, bars=False)


def _around(allocation: Allocation, seq: int, wanted: reading.Test | None) -> Page:
    older = reading.page(reading.lines_before(allocation, seq), BEFORE, wanted, bars=False)
    newer = reading.page(reading.lines_after(allocation, seq - 1), ROWS - BEFORE, wanted, bars=False, keep=seq)
    joined = reading.page([*older.lines, *newer.lines], ROWS, bars=False, keep=seq)
    return Page(joined.lines, older.first or newer.first, newer.last or older.last)


def _wanted(place: dict[str, Any]) -> reading.Test | None:
    stream = place.get("stream")
    return (lambda line: bool(line.stream == stream)) if stream else None


@dataclass(frozen=True, slots=True)
class _Search:
    """The next hit from a place on, downwards or upwards."""

    allocation: Allocation
    place: dict[str, Any]
    total: int

    def found(self) -> _Found:
        upwards, text, wanted = self.place.get("before"), self.place["search"], _wanted(self.place)
        begin = upwards or self._after()
        matches = reading.contains(text, case=self.place["case"])
        lines = (reading.lines_before if upwards else reading.lines_after)(self.allocation, begin)
        hit, looked_at = reading.find(lines, lambda line: matches(line) and (wanted is None or wanted(line)))
        if hit is not None:
            return _Found(_around(self.allocation, hit.seq, wanted), hit.seq, f"Line {hit.seq:,} has it.")
        page = _around(self.allocation, begin or 1, wanted)
        if 1 < looked_at < self.total:
            way = "before" if upwards else "after"
            return _Found(page, sentence=f"Not found up to line {looked_at:,}.", proceed={way: looked_at})
        where = f" {'before' if upwards else 'after'} line {begin:,}" if begin else ""
        return _Found(page, begin, f"No line{where} has “{text}”.")

    def _after(self) -> int:
        after: int | None = self.place.get("after")
        if after is None and self.place.get("at"):
            return (reading.first_since(self.allocation, self.place["at"]) or self.total + 1) - 1
        return after or 0


def _own(own: Iterable[tuple[datetime, str]], page: Page, total: int) -> list[Line]:
    """Those of the time that the page shows; all before the first line and after the last."""
    begin = page.lines[0].at if page.lines and page.first > 1 else ""
    end = page.lines[-1].at if page.lines and page.last < total else "9999"
    lines = [Line(0, at.isoformat(), "berth", text) for at, text in own]
    return [line for line in lines if begin <= line.at <= end]


def _range(page: Page, total: int) -> str:
    if not total:
        return "Nothing written yet."
    missing = "" if page.lines else "No such lines in "
    return f"{missing}{'Lines' if page.lines else 'lines'} {page.first:,} to {page.last:,} of {total:,}"


def _note(allocation: Allocation, total: int) -> str:
    state, removed_at = allocation.log_state, allocation.log_removed_at
    if state == LogState.REMOVED and removed_at is not None:
        days = f", {settings.LOG_KEPT.days} days after the end" if settings.LOG_KEPT else ""
        return f"Removed on {localtime(removed_at):%Y-%m-%d}{days}"
    return {
        LogState.TRUNCATED: "Cut: its end could not be collected",
        LogState.LOST: "Lost",
        LogState.OVER_QUOTA: f"Over quota: lines after {total:,} are not kept",
    }.get(LogState(state), "")


def _places(place: dict[str, Any], found: _Found) -> list[Place]:
    kept = {name: place[name] for name in ("stream",) if place.get(name)}
    sought = kept | {name: place[name] for name in ("search", "case") if place.get(name)}
    places = [
        ("start", "Start", kept | {"after": 0}),
        ("older", "Older", kept | {"before": max(found.page.first, 1)}),
        ("newer", "Newer", kept | {"after": found.page.last}),
        ("end", "End", kept),
    ]
    if "search" in sought:
        first, last = (found.chosen, found.chosen) if found.chosen else (found.page.first, found.page.last)
        places.append(("previous", "Previous hit", sought | {"before": max(first, 1)}))
        places.append(("next", "Next hit", sought | {"after": last}))
    if found.proceed:
        places.append(("proceed", "Search on", sought | found.proceed))
    return [Place(name, label, f"?{urlencode(query)}") for name, label, query in places]
