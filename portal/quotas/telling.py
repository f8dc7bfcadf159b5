"""What people are told of requests for GPUs, in the transaction in which it comes to be."""

from django.db.models import Q

from portal.accounts.models import User
from portal.lib import words
from portal.notices.actions import tell
from portal.notices.states import Kind
from portal.quotas.access import approvers_of
from portal.quotas.models import Delegation, Grant, QuotaRequest, gpu_words


def _path(request: QuotaRequest) -> str:
    return f"/quota/requests/{request.pk}/"


def _facts(request: QuotaRequest) -> dict[str, object]:
    facts = {"id": request.pk, "state": request.state, "gpu_class": request.gpu_class_id, "count": request.count}
    return {"quota_request": facts}


def asked(request: QuotaRequest) -> None:
    """Everybody who may decide. Once for each version, so that an answer is told too."""
    whom = "" if request.personal else f" for team {request.team.name}"
    sentence = f"{request.requester.get_full_name()} asks for {request}{whom}: {request.justification[:200]}"
    _tell_approvers(request, sentence)


def _tell_approvers(request: QuotaRequest, sentence: str) -> None:
    """All but who approved it first."""
    for approver in approvers_of(request, besides=request.approved_by):
        subject = f"{request.topic}-{request.version}"
        tell(approver, Kind.QUOTA_ASKED, subject, sentence, _path(request), _facts(request))


def asked_back(request: QuotaRequest) -> None:
    sentence = f"A question about your request for {request}: {request.question}"
    _tell_requester(request, sentence)


def approved_once(request: QuotaRequest) -> None:
    """Everybody who may confirm it, and who asked."""
    assert request.first_by is not None and request.first_until is not None
    given = f"{gpu_words(request.gpu_class_id, request.standing[0])} until {words.exactly(request.first_until)}"
    who, whose = _name(request.first_by, request.first_for), request.requester.get_full_name()
    _tell_approvers(request, f"{who} approved {given} for {whose}. It needs a second approval. {request.first_note}")
    _tell_requester(request, f"{who} approved {given}. So many need a second approval, which it waits for now.")


def decided(request: QuotaRequest, grant: Grant | None) -> None:
    who = _who(request)
    if grant is None:
        sentence = f"{who} denied your request for {request}: {request.note}"
    else:
        sentence = f"{who} granted {grant} until {words.exactly(grant.ends_at)}. {request.first_note} {request.note}"
    _tell_requester(request, sentence)


def _who(request: QuotaRequest) -> str:
    if request.rule:
        return f"The rule “{request.rule}”"
    pairs = ((request.first_by, request.first_for), (request.decided_by, request.decided_for))
    return " and ".join(_name(by, lender) for by, lender in pairs if by)


def _name(by: User, lender: User | None) -> str:
    return by.get_full_name() + (f" for {lender.get_full_name()}" if lender else "")


def _tell_requester(request: QuotaRequest, sentence: str) -> None:
    subject = f"{request.topic}-{request.version}"
    tell(request.requester, Kind.QUOTA_DECIDED, subject, sentence, _path(request), _facts(request))


def delegated(given: Delegation) -> None:
    when = f"from {words.exactly(given.starts_at)} until {words.exactly(given.ends_at)}"
    _tell_delegate(given, f"You decide about requests for GPUs for {given.delegator.get_full_name()} {when}.", "given")


def taken_back(given: Delegation) -> None:
    _tell_delegate(given, f"You no longer decide for {given.delegator.get_full_name()}.", "taken")


def _tell_delegate(given: Delegation, sentence: str, what: str) -> None:
    tell(given.delegate, Kind.QUOTA_DELEGATED, f"{given.topic}-{what}", sentence, "/approvals/")


def ends_soon(grant: Grant, days: int) -> None:
    soon = "tomorrow" if days == 1 else f"within {days} days"
    sentence = (
        f"{grant} for {_whose(grant)} will end {soon}: nothing new starts on it then, {grant.gpu_class.afterwards}."
    )
    _tell_holders(grant, f"{grant.request.topic}-{days}", sentence)


def revoked(grant: Grant) -> None:
    sentence = f"{grant} for {_whose(grant)} was revoked by {grant.revoked_by}: {grant.revoked_because}"
    _tell_holders(grant, f"{grant.request.topic}-revoked", sentence)


def _whose(grant: Grant) -> str:
    return "you" if grant.user_id else f"team {grant.team.name}"


def _tell_holders(grant: Grant, subject: str, sentence: str) -> None:
    """The person it is for, or all of the team."""
    holders = Q(pk=grant.user_id) if grant.user_id else Q(memberships__team=grant.team)
    for user in User.objects.filter(holders, is_active=True).distinct():
        tell(user, Kind.GRANT_ENDS, subject, sentence, _path(grant.request), _facts(grant.request))
