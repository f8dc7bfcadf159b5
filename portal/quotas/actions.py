"""Writes to requests for GPUs and to grants: ask, ask back, answer, decide, withdraw, revoke, remind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from portal.accounts.access import team_for
from portal.accounts.models import Team, User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Conflict, Forbidden, Invalid, Next
from portal.lib.states import compare_and_swap, refresh
from portal.live.redis import publish
from portal.quotas import access, telling
from portal.quotas.models import GpuClass, Grant, QuotaRequest
from portal.quotas.states import OPEN, TRANSITIONS, R, RequestState, RuleMode
from portal.quotas.verdicts import Judge, Verdict, first, nobody

LONGEST = timedelta(days=366)
MOST = 64
LONGEST_TEXT = 2000
MOST_OPEN = 20
"""Requests of one person that wait for an answer."""
REMIND_DAYS = (14, 7, 1)
BATCH = 200
FEWER = "Give fewer, or have an administrator make somebody a lead."
INBOX = Next("Approvals", "/approvals/")
NO_FIRST: dict[str, Any] = {
    "first_by": None,
    "first_for": None,
    "first_at": None,
    "first_count": None,
    "first_until": None,
    "first_note": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """As it was asked, unchecked. Without `starts_at`, from now on; without a team, the requester's first."""

    gpu_class: str
    count: int
    ends_at: datetime
    justification: str
    personal: bool = True
    team: str | None = None
    starts_at: datetime | None = None


@transaction.atomic
def ask(user: User, wish: Wish, *, actor: str, judge: Judge = nobody) -> QuotaRequest:
    """Approved at once where a rule says so; else it waits for somebody. Raises Invalid naming the field of `wish`."""
    _hold(user)
    if QuotaRequest.objects.filter(requester=user, state__in=OPEN).count() >= MOST_OPEN:
        raise Invalid.field("gpu_class", f"{MOST_OPEN} requests of yours wait already. Withdraw one first.")
    request = drafted(user, wish)
    verdicts = judge(request)
    decisive = first(verdicts, RuleMode.ACTIVE)
    would = None if decisive else first(verdicts, RuleMode.SHADOW)
    request.verdicts = [one.as_data() for one in verdicts]
    request.shadow_rule = would.rule if would else ""
    request.save(force_insert=True)
    record(actor, "quota.ask", request.topic, after=_facts(request))
    publish("quota-requests")
    if decisive is not None:
        return _approve_by(decisive, request)
    telling.asked(request)
    return request


def drafted(user: User, wish: Wish) -> QuotaRequest:
    """What it would be, not saved. Raises Invalid naming the field of `wish`."""
    starts_at = _begin(wish.starts_at)
    return QuotaRequest(
        requester=user,
        team=team_for(user, wish.team),
        personal=wish.personal,
        gpu_class=_gpu_class(wish.gpu_class),
        count=_count(wish.count),
        starts_at=starts_at,
        ends_at=_end(wish.ends_at, starts_at),
        justification=text(wish.justification, "justification"),
    )


def _hold(whose: User | Team) -> None:
    """What a person or a team is given is decided one after another: it depends on what they have already."""
    rows = Team.objects.all() if isinstance(whose, Team) else User.objects.all()
    rows.select_for_update(no_key=True).get(pk=whose.pk)


def _approve_by(verdict: Verdict, request: QuotaRequest) -> QuotaRequest:
    changes = {"rule": verdict.rule, "decided_at": clock.now()}
    also = {"rule": verdict.as_data()}
    _move(request, request.version, R.APPROVED, f"rule:{verdict.rule}", "quota.approved", also, **changes)
    return _grant(request, request.count, request.ends_at)


@transaction.atomic
def need_info(request: QuotaRequest, version: int, question: str, *, by: User) -> QuotaRequest:
    """Ask back before deciding. Raises Invalid, Forbidden, and Conflict when somebody was first."""
    right = access.rights_on(by, request)[0]
    changes = {**NO_FIRST, "question": text(question, "note")}
    _move(request, version, R.NEEDS_INFO, by.username, "quota.ask_back", _lent_by(_lender(right, by)), **changes)
    telling.asked_back(request)
    return request


@transaction.atomic
def answer(request: QuotaRequest, version: int, words: str, *, by: User) -> QuotaRequest:
    """The requester answers what was asked back; it waits for a decision again."""
    _must_be_own(request, by)
    said = f"{request.justification}\n\nAsked: {request.question}\nAnswered: {text(words, 'note')}"
    _move(request, version, R.SUBMITTED, by.username, "quota.answer", justification=said, question="")
    telling.asked(request)
    return request


@transaction.atomic
def approve(
    request: QuotaRequest,
    version: int,
    *,
    by: User,
    count: int | None = None,
    until: datetime | None = None,
    note: str = "",
) -> QuotaRequest:
    """All of it, or fewer or for less long; the grant counts from its begin on, and what waits may start.

    Where two must approve, the first time only says what is to be given; somebody else who approves the same confirms
    it, and other terms begin anew. Without `count` and `until` it is what stands: as asked, or as first approved.
    Raises Forbidden, Invalid for `count` and `until`, and Conflict when somebody was first.
    """
    rights = access.rights_on(by, request)
    _hold(request.requester if request.personal else request.team)
    if request.version != version:
        raise _too_late(request)
    given = request.standing[0] if count is None else _within(count, request.count)
    ends_at = request.standing[1] if until is None else _until(until, request)
    if ends_at <= clock.now():
        raise Invalid.field("until", "The time that was asked for is over.")
    two = access.needs_second(request, given)
    if two and (request.state != R.APPROVED_ONCE or (given, ends_at) != request.standing):
        return _approve_once(request, version, given, ends_at, by, rights[0], note)
    right = _second(rights, request, by) if two else rights[0]
    whole = (given, ends_at) == (request.count, request.ends_at)
    to = R.APPROVED if whole else R.PARTLY_APPROVED
    _decide(request, version, to, by, right, note, {} if two else NO_FIRST)
    return _grant(request, given, ends_at)


def _second(rights: list[User], request: QuotaRequest, by: User) -> User:
    """One that the first approval did not use. Raises Forbidden without."""
    unused = [right for right in rights if not {right.pk, by.pk} & request.approved_by]
    if not unused:
        sentence = "It was approved by you, or by the right that you have, already; somebody else must confirm it."
        raise Forbidden(sentence, next_step=INBOX)
    return unused[0]


def _approve_once(
    request: QuotaRequest, version: int, given: int, ends_at: datetime, by: User, right: User, note: str
) -> QuotaRequest:
    if not access.approvers_of(request, besides={by.pk, right.pk}).exists():
        raise Invalid.field("count", f"So many need two approvers, and nobody but you may decide about this. {FEWER}")
    lender = _lender(right, by)
    given_first = {"first_by": by, "first_for": lender, "first_at": clock.now(), "first_count": given}
    changes = {**given_first, "first_until": ends_at, "first_note": _note(note), "question": ""}
    _move(request, version, R.APPROVED_ONCE, by.username, "quota.approved_once", _lent_by(lender), **changes)
    telling.approved_once(request)
    return request


def _grant(request: QuotaRequest, given: int, ends_at: datetime) -> QuotaRequest:
    grant = Grant.objects.create(
        request=request,
        user=request.requester if request.personal else None,
        team=request.team,
        gpu_class_id=request.gpu_class_id,
        count=given,
        starts_at=request.starts_at,
        ends_at=ends_at,
    )
    telling.decided(request, grant)
    publish("allocations")
    return request


@transaction.atomic
def deny(request: QuotaRequest, version: int, reason: str, *, by: User) -> QuotaRequest:
    """Raises Forbidden, Invalid without a reason, and Conflict when somebody was first."""
    right = access.rights_on(by, request)[0]
    _decide(request, version, R.DENIED, by, right, text(reason, "note"), NO_FIRST)
    telling.decided(request, None)
    return request


@transaction.atomic
def withdraw(request: QuotaRequest, *, by: User) -> QuotaRequest:
    """By who asked, while it is open. Withdrawing it twice is no error."""
    _must_be_own(request, by)
    if request.state != R.WITHDRAWN:
        _move(request, request.version, R.WITHDRAWN, by.username, "quota.withdraw")
    return request


@transaction.atomic
def revoke(grant: Grant, because: str, *, by: User) -> None:
    """It counts no more. By who may decide about the request. Doing it twice is no error."""
    lender = _lender(access.rights_on(by, grant.request)[0], by)
    changes = {"revoked_at": clock.now(), "revoked_by": by.username, "revoked_because": text(because, "note")}
    if Grant.objects.filter(pk=grant.pk, revoked_at=None, ends_at__gt=clock.now()).update(**changes):
        refresh(grant, changes)
        record(by.username, "quota.revoke", grant.request.topic, after={"because": because} | _lent_by(lender))
        telling.revoked(grant)
        publish(grant.request.topic, "quota-requests", "allocations")


def tick() -> None:
    """Part of every tick: requests whose time is over expire, and who has a grant hears that it will end."""
    now = clock.now()
    for request in QuotaRequest.objects.filter(state__in=OPEN, ends_at__lte=now)[:BATCH]:
        with transaction.atomic():
            _move(request, request.version, R.EXPIRED, "tick", "quota.expire")
    for days in sorted(REMIND_DAYS):
        left = timedelta(days=days)
        due = Grant.active(now).filter(ends_at__lte=now + left, starts_at__lt=F("ends_at") - left)
        _remind(due.exclude(reminded_days__lte=days).select_related("request", "user", "team")[:BATCH], days)


def _remind(grants: Iterable[Grant], days: int) -> None:
    for grant in grants:
        with transaction.atomic():
            fresh = Grant.objects.filter(pk=grant.pk).exclude(reminded_days__lte=days)
            if fresh.update(reminded_days=days):
                telling.ends_soon(grant, days)


def _decide(
    request: QuotaRequest, version: int, to: RequestState, by: User, right: User, note: str, earlier: dict[str, Any]
) -> None:
    lender = _lender(right, by)
    decided = {"decided_by": by, "decided_for": lender, "decided_at": clock.now()}
    changes = {**earlier, **decided, "note": _note(note), "question": ""}
    _move(request, version, to, by.username, f"quota.{to}", _lent_by(lender), **changes)


def _lender(right: User, by: User) -> User | None:
    """Whose right it is that somebody uses, if not their own."""
    return None if right == by else right


def _lent_by(lender: User | None) -> dict[str, str]:
    return {"for": f"{lender.get_full_name()} ({lender.username})"} if lender else {}


def _note(words: str) -> str:
    return words.strip()[:LONGEST_TEXT]


def _move(
    request: QuotaRequest,
    version: int,
    to: RequestState,
    actor: str,
    verb: str,
    also: Mapping[str, Any] | None = None,
    **changes: Any,
) -> None:
    """One step on, if it is still as the caller saw it. `also` goes into the audit record."""
    before = _facts(request)
    came_from = [state for state, onward in TRANSITIONS.items() if to in onward]
    changes |= {"state": to, "version": version + 1}
    expected = {"pk": request.pk, "version": version, "state__in": came_from}
    if not compare_and_swap(QuotaRequest.objects.all(), expected, changes):
        request.refresh_from_db()
        raise _too_late(request)
    refresh(request, changes)
    record(actor, verb, request.topic, before=before, after={**_facts(request), **(also or {})})
    publish(request.topic, "quota-requests")


def _too_late(request: QuotaRequest) -> Conflict:
    next_step = Next("See it", f"/quota/requests/{request.pk}/")
    return Conflict(_as_it_is(request), code="decided", next_step=next_step)


def _as_it_is(request: QuotaRequest) -> str:
    if request.decided_by:
        return f"{request.decided_by.get_full_name()} decided first: {request.get_state_display().lower()}."
    if request.state == R.APPROVED_ONCE and request.first_by:
        return f"{request.first_by.get_full_name()} approved first; somebody else must confirm it. Look at it again."
    return f"It has changed meanwhile: {request.get_state_display().lower()}. Look at it again."


def _must_be_own(request: QuotaRequest, by: User) -> None:
    if request.requester_id != by.pk:
        raise Forbidden("Only who asked may do this.")


def _facts(request: QuotaRequest) -> dict[str, Any]:
    return _first_facts(request) | {
        "state": request.state,
        "team": request.team.slug,
        "personal": request.personal,
        "gpu_class": request.gpu_class_id,
        "count": request.count,
        "starts_at": request.starts_at.isoformat(),
        "ends_at": request.ends_at.isoformat(),
        "note": request.note or request.question,
    }


def _first_facts(request: QuotaRequest) -> dict[str, Any]:
    if request.first_by is None or request.first_until is None:
        return {}
    until = request.first_until.isoformat()
    return {"first": {"by": request.first_by.username, "count": request.first_count, "until": until}}


def _gpu_class(slug: str) -> GpuClass:
    found = GpuClass.objects.filter(slug=slug[:40], retired=False).first() if "\0" not in slug else None
    if found is None:
        known = ", ".join(GpuClass.objects.filter(retired=False).values_list("slug", flat=True))
        raise Invalid.field("gpu_class", f"There is no GPU class “{slug[:40]}”. Choose one of: {known}.")
    return found


def _count(number: int) -> int:
    if not 1 <= number <= MOST:
        raise Invalid.field("count", f"Ask for 1 to {MOST} devices.")
    return number


def _within(number: int, asked: int) -> int:
    if not 1 <= number <= asked:
        raise Invalid.field("count", f"Give 1 to {asked}, which is what was asked for; or deny it.")
    return number


def _begin(at: datetime | None) -> datetime:
    now = clock.now()
    if at is None:
        return now
    if not now - timedelta(days=1) <= at <= now + LONGEST:
        raise Invalid.field("starts_at", "It may begin today or later, within a year.")
    return max(at, now)


def _end(at: datetime, begin: datetime) -> datetime:
    if not begin < at <= begin + LONGEST:
        raise Invalid.field("ends_at", "It must end after it begins, and within a year of that.")
    return at


def _until(at: datetime, request: QuotaRequest) -> datetime:
    if not request.starts_at < at <= request.ends_at:
        raise Invalid.field("until", "It must end after it begins, and no later than was asked for.")
    return at


def text(words: str, field: str) -> str:
    """Trimmed and not empty. Raises Invalid naming the field."""
    words = words.strip()
    if not words or len(words) > LONGEST_TEXT or "\0" in words:
        raise Invalid.field(field, f"Say why in 1 to {LONGEST_TEXT:,} characters; others decide by it.")
    return words
