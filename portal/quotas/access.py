"""Who sees a request for GPUs, and who may decide about it: by their own right, or by one that was lent to them."""

from collections.abc import Collection

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from portal.accounts.access import leads, leads_of, teams_of
from portal.accounts.models import Membership, Role, User
from portal.lib import clock, ids
from portal.lib.errors import Forbidden, Next, NotFound
from portal.quotas.models import Delegation, Grant, QuotaRequest
from portal.quotas.states import OPEN, R

PEOPLE = ("requester", "team", "first_by", "first_for", "decided_by", "decided_for")
YOURS = Next("Your limits", "/quota/")


def delegations() -> QuerySet[Delegation]:
    """Those that count now: their time has come, and who lent the right still has it."""
    now = clock.now()
    here = Membership.objects.filter(team=OuterRef("team"))
    leading = Exists(here.filter(user=OuterRef("delegator"), role=Role.LEAD))
    member = Exists(here.filter(user=OuterRef("delegate")))
    of_lead = Q(leading, member, team__isnull=False)
    rows = Delegation.objects.filter(of_lead | Q(team=None, delegator__is_staff=True), revoked_at=None)
    active = rows.filter(delegator__is_active=True, delegate__is_active=True)
    return active.filter(starts_at__lte=now, ends_at__gt=now)


def _lent_to(user: User) -> QuerySet[Delegation]:
    return delegations().filter(delegate=user).select_related("delegator")


def delegations_seen_by(user: User) -> QuerySet[Delegation]:
    """One's own and those to oneself, for administrators all, until they end."""
    rows = Delegation.objects.filter(revoked_at=None, ends_at__gt=clock.now())
    mine = rows if user.is_staff else rows.filter(Q(delegator=user) | Q(delegate=user))
    return mine.select_related("delegator", "delegate", "team")


def delegation_of(user: User, delegation_id: str) -> Delegation:
    """One that the user may take back. Raises NotFound, and Forbidden for who only received it."""
    rows = Delegation.objects.select_related("delegator", "delegate", "team")
    known = ids.PATTERN.fullmatch(delegation_id.upper())
    found = rows.filter(pk=delegation_id.upper()).first() if known else None
    if found is None or not (user.is_staff or user.pk in (found.delegator_id, found.delegate_id)):
        raise NotFound("There is no such delegation, or it is not yours to see.", next_step=YOURS)
    if not user.is_staff and user.pk != found.delegator_id:
        raise Forbidden(f"Only {found.delegator.get_full_name()} or an administrator takes it back.", next_step=YOURS)
    return found


def decidable_by(user: User) -> QuerySet[QuotaRequest]:
    """All but one's own for administrators; for who leads a team, what its members ask for themselves; and what they
    may decide about who lent this person their right, but not their own.
    """
    others = QuotaRequest.objects.exclude(requester=user)
    return others if user.is_staff else others.filter(_decides(user))


def _decides(user: User) -> Q:
    rights = Q(personal=True, team__in=leads(user))
    for lent in _lent_to(user):
        of_team = Q(personal=True, team=lent.team_id) if lent.team_id else Q()
        rights |= of_team & ~Q(requester=lent.delegator_id)
    return rights


def seen_by(user: User) -> QuerySet[QuotaRequest]:
    """One's own, what one may decide about, and what is asked for a team one leads."""
    mine = Q(requester=user) | Q(team__in=leads(user)) | _decides(user)
    rows = QuotaRequest.objects.all() if user.is_staff else QuotaRequest.objects.filter(mine)
    return rows.select_related("gpu_class", "grant", *PEOPLE)


def inbox_of(user: User) -> QuerySet[QuotaRequest]:
    """What waits for an answer that this person may give, oldest first."""
    rows = decidable_by(user).filter(_waits_for(user))
    return rows.select_related(*PEOPLE).order_by("created_at")


def answered_for(user: User) -> QuerySet[QuotaRequest]:
    """What this person may decide about and need not any more, the latest first."""
    rows = decidable_by(user).exclude(_waits_for(user))
    at = Coalesce("decided_at", "first_at", "created_at")
    return rows.select_related(*PEOPLE).order_by(at.desc())


def _waits_for(user: User) -> Q:
    """Who approved first waits for the second."""
    first = Q(first_by=user) | Q(first_for=user)
    return Q(state__in=OPEN) & ~(Q(state=R.APPROVED_ONCE) & first)


def request_for(user: User, request_id: str) -> QuotaRequest:
    """Raises NotFound."""
    known = ids.PATTERN.fullmatch(request_id.upper())
    found = seen_by(user).filter(pk=request_id.upper()).first() if known else None
    if found is None:
        raise NotFound("There is no such request, or it is not yours to see.", next_step=YOURS)
    return found


def approves(user: User) -> bool:
    """Whether anything could ever wait for this person's decision."""
    return has_a_right(user) or _lent_to(user).exists()


def has_a_right(user: User) -> bool:
    """To decide, of their own: one that they may lend."""
    return user.is_staff or leads(user).exists()


def may_decide(user: User, request: QuotaRequest) -> bool:
    return decidable_by(user).filter(pk=request.pk).exists()


def rights_on(user: User, request: QuotaRequest) -> list[User]:
    """Whose right to decide this person may use: their own first, then those lent to them. Raises Forbidden."""
    if request.requester_id == user.pk:
        raise Forbidden("Nobody decides about their own request.", next_step=YOURS)
    leading = request.personal and leads(user).filter(pk=request.team_id).exists()
    lent = _lent_to(user).filter(_covers(request)).exclude(delegator=request.requester_id)
    rights = [*([user] if user.is_staff or leading else []), *(one.delegator for one in lent)]
    if not rights:
        whose = "a member's share" if request.personal else "a team's share"
        raise Forbidden(f"Only an administrator decides about {whose} here.", next_step=YOURS)
    return rights


def _covers(request: QuotaRequest) -> Q:
    """Delegations that are about it."""
    return Q(team=None) | Q(team=request.team_id) if request.personal else Q(team=None)


def needs_second(request: QuotaRequest, count: int) -> bool:
    """Whether two must approve so many, together with what the same holder was granted for the same time."""
    limit = request.gpu_class.two_approvers_from
    if limit is None:
        return False
    whose = {"user": request.requester} if request.personal else {"user": None, "team": request.team}
    others = Grant.objects.filter(gpu_class=request.gpu_class_id, revoked_at=None, **whose)
    meanwhile = others.filter(starts_at__lt=request.ends_at, ends_at__gt=request.starts_at)
    granted = meanwhile.aggregate(number=Sum("count"))["number"] or 0
    return bool(count + granted >= limit)


def grant_of(request: QuotaRequest) -> Grant:
    """Raises NotFound."""
    found: Grant | None = getattr(request, "grant", None)
    if found is None:
        raise NotFound("Nothing was granted of it.", next_step=YOURS)
    return found


def approvers_of(request: QuotaRequest, besides: Collection[str] = ()) -> QuerySet[User]:
    """Everybody who may decide about it; `besides`: without these people, also not by their right."""
    nobody = {request.requester_id, *besides}
    leading = Q(pk__in=leads_of(request.team)) if request.personal else Q(pk__in=[])
    lent = delegations().filter(_covers(request)).exclude(delegator__in=nobody)
    may = Q(is_staff=True) | leading | Q(pk__in=lent.values("delegate"))
    return User.objects.filter(may, is_active=True).exclude(pk__in=nobody).order_by("username")


def revocable_by(user: User) -> QuerySet[Grant]:
    """What counts now out of requests that this person may decide about, the next to end first."""
    mine = Grant.active(clock.now()).filter(request__in=decidable_by(user))
    return mine.select_related("team", "user").order_by("ends_at")


def grants_of(user: User) -> QuerySet[Grant]:
    """A person's own, and those of their teams."""
    mine = Q(user=user) | Q(user=None, team__in=teams_of(user))
    return Grant.objects.filter(mine).select_related("team", "user")
