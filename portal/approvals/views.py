"""Pages: limits of one's own, asking for GPUs, one request with its decision, and the inbox of approvers."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import localtime
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.approvals import facts, reclaiming, rules
from portal.approvals.days import end_of
from portal.approvals.forms import AskForm, DecideForm, WordsForm
from portal.compute.limits import Limits
from portal.lib import clock, refusals
from portal.lib.errors import Forbidden, Invalid
from portal.quotas import access, actions
from portal.quotas.models import Grant, QuotaRequest
from portal.quotas.states import OPEN, GrantState, R, RuleMode

NOT_YET = "Fill in the form first: class, how many, and until when."
SHOWN = 50
MOST_NAMED = 5


@login_required
@require_safe
def limits(request: HttpRequest) -> HttpResponse:
    user, now, held = signed_in(request.user), clock.now(), Limits()
    grants = access.grants_of(user).filter(revoked_at=None, ends_at__gt=now).order_by("ends_at")
    context = {
        "classes": facts.classes_for(user, held),
        "resources": facts.resources_for(user, held),
        "grants": [_grant(grant) for grant in grants],
        "requests": access.seen_by(user).filter(requester=user)[:SHOWN],
        "live_topics": ["allocations", "quota-requests"],
    }
    return render(request, "quota/limits.html", context)


def _grant(grant: Grant) -> dict[str, Any]:
    state = grant.state(clock.now())
    hint = ""
    used = facts.used_share(grant)
    if used is not None and used < reclaiming.HARDLY and state in (GrantState.ACTIVE, GrantState.EXPIRING):
        hint = f"Hardly used so far: {used:.0%}.".replace("%", " %")
    whose = "you" if grant.user_id else f"team {grant.team.name}"
    return {"grant": grant, "whose": whose, "state": state, "word": state.label, "hint": hint}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """The query may fill in `gpu_class`, `count` and `team`."""
    user = signed_in(request.user)
    form = AskForm(request.POST or None, user=user, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.ask(user, form.wish, actor=user.username, judge=rules.judge)
        except Invalid as problem:
            refusals.show(form, problem, {"ends_at": "ends_on", "starts_at": "starts_on"})
        else:
            by_rule = f"Approved at once by the rule “{made.rule}”."
            later = "Sent. You are told as soon as somebody has decided."
            messages.success(request, by_rule if made.rule else later)
            return redirect("quota-request", made.pk)
    return _ask_page(request, form, status=422 if request.method == "POST" else 200)


@login_required
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The page as it would be with what is in the form now, with what the rules would say; nothing is sent."""
    user = signed_in(request.user)
    values = request.POST.dict()
    form = AskForm({**values, "justification": values.get("justification") or "?"}, user=user)
    try:
        said = rules.dry_run(user, form.wish) if form.is_valid() else []
    except Invalid as problem:
        said = [problem.detail]
    return _ask_page(request, AskForm(user=user, initial=values), said or [NOT_YET])


def _ask_page(request: HttpRequest, form: AskForm, said: Sequence[str] = (), status: int = 200) -> HttpResponse:
    context = {"form": form, "classes": facts.classes_for(signed_in(request.user), Limits()), "said": said}
    return render(request, "quota/ask.html", context, status=status)


@login_required
@require_safe
def detail(request: HttpRequest, request_id: str) -> HttpResponse:
    return _detail(request, access.request_for(signed_in(request.user), request_id))


def _detail(
    request: HttpRequest, found: QuotaRequest, decide: DecideForm | None = None, words: WordsForm | None = None
) -> HttpResponse:
    user = signed_in(request.user)
    grant: Grant | None = getattr(found, "grant", None)
    may_decide = access.may_decide(user, found)
    is_open, own = found.state in OPEN, found.requester_id == user.pk
    asked_back = own and found.state == R.NEEDS_INFO
    context = {
        "asked": found,
        "facts": facts.of(found) if may_decide or own else None,
        "said": rules.said(found.verdicts, RuleMode.ACTIVE) if may_decide or own else [],
        "shadow": rules.said(found.verdicts, RuleMode.SHADOW) if may_decide else [],
        "grant": _grant(grant) if grant else None,
        "used": facts.used_text(grant) if grant else "",
        "decide": (decide or DecideForm(initial=_as_it_stands(found))) if may_decide and is_open else None,
        "second": _second(found, user) if is_open else None,
        "words": (words or WordsForm(initial={"version": found.version})) if asked_back else None,
        "may_withdraw": own and is_open,
        "reclaim": reclaiming.hints_of([grant]).get(grant.pk, "") if grant and may_decide else "",
        "may_revoke": bool(grant and may_decide and grant.revoked_at is None and grant.ends_at > clock.now()),
        "live_topics": [found.topic],
    }
    refused = any(form is not None and form.errors for form in (decide, words))
    return render(request, "quota/request.html", context, status=422 if refused else 200)


def _as_it_stands(found: QuotaRequest) -> dict[str, Any]:
    count, until = found.standing
    return {"version": found.version, "count": count, "until": _last_day(until)}


def _last_day(until: datetime) -> date:
    return localtime(until - timedelta(seconds=1)).date()


def _second(found: QuotaRequest, user: User) -> dict[str, Any] | None:
    """Who could be the second of two that must approve; `mine`: the first was the reader."""
    if not access.needs_second(found, found.standing[0]):
        return None
    others = access.approvers_of(found, besides=found.approved_by)
    return {"names": [one.get_full_name() for one in others[:MOST_NAMED]], "mine": user.pk in found.approved_by}


@login_required
@require_POST
def decide(request: HttpRequest, request_id: str) -> HttpResponse:
    """`do` is approve, deny or ask."""
    user = signed_in(request.user)
    found = access.request_for(user, request_id)
    form = DecideForm(request.POST)
    if form.is_valid():
        try:
            _decided(user, found, request.POST.get("do", ""), form.cleaned_data)
        except Invalid as problem:
            refusals.show(form, problem)
        else:
            messages.success(request, f"Done: {found.get_state_display().lower()}.")
            return redirect("approvals")
    return _detail(request, found, decide=form)


def _decided(user: User, found: QuotaRequest, do: str, data: dict[str, Any]) -> None:
    version, note = data["version"], data["note"]
    match do:
        case "approve":
            until = None  # the day that was shown: whatever zone it was written in
            if data["until"] and data["until"] != _last_day(found.standing[1]):
                until = min(end_of(data["until"]), found.ends_at)
            actions.approve(found, version, by=user, count=data["count"], until=until, note=note)
        case "deny":
            actions.deny(found, version, note, by=user)
        case "ask":
            actions.need_info(found, version, note, by=user)
        case _:
            raise Invalid("Choose one of the buttons.")


@login_required
@require_POST
def answer(request: HttpRequest, request_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = access.request_for(user, request_id)
    form = WordsForm(request.POST)
    if form.is_valid():
        try:
            actions.answer(found, form.cleaned_data["version"], form.cleaned_data["note"], by=user)
        except Invalid as problem:
            refusals.show(form, problem)
        else:
            messages.success(request, "Sent.")
            return redirect("quota-request", found.pk)
    return _detail(request, found, words=form)


@login_required
@require_POST
def withdraw(request: HttpRequest, request_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = access.request_for(user, request_id)
    actions.withdraw(found, by=user)
    messages.success(request, "Withdrawn.")
    return redirect("quota-request", found.pk)


@login_required
@require_POST
def revoke(request: HttpRequest, request_id: str) -> HttpResponse:
    user = signed_in(request.user)
    found = access.request_for(user, request_id)
    try:
        grant = access.grant_of(found)
        actions.revoke(grant, request.POST.get("note", ""), by=user)
    except Invalid as problem:
        messages.error(request, problem.detail)
    else:
        messages.success(request, f"Revoked. Nothing new starts on it; {grant.gpu_class.afterwards}.")
    return redirect("quota-request", found.pk)


@login_required
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    if not access.approves(user):
        raise Forbidden("Only administrators, leads and who decides for them look here.", next_step=access.YOURS)
    context = {
        "waiting": list(access.inbox_of(user)[:SHOWN]),
        "delegations": access.delegations_seen_by(user)[:SHOWN],
        "may_delegate": access.has_a_right(user),
        "reader": user,
        "agreements": rules.agreements(user),
        "grants": reclaiming.rows(user)[:SHOWN],
        "answered": access.answered_for(user)[:SHOWN],
        "live_topics": ["quota-requests"],
    }
    return render(request, "quota/inbox.html", context)
