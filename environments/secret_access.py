"""Secrets together with the workspaces that use them, as far as the person who looks may see either."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from environments import access
from environments.models import Workspace
from portal.accounts.access import leads, secrets_seen_by
from portal.accounts.models import Secret, User


@dataclass(frozen=True, slots=True)
class SeenSecret:
    """One secret; what is in it is not here."""

    secret: Secret
    used_by: list[Workspace]
    may_change: bool


def with_use(user: User) -> QuerySet[Secret]:
    seen = access.visible_to(user).filter(deleted_at=None).order_by("name")
    return secrets_seen_by(user).prefetch_related(Prefetch("workspaces", seen))


def seen(user: User, secrets: Iterable[Secret]) -> list[SeenSecret]:
    led = set(leads(user).values_list("pk", flat=True))
    return [
        SeenSecret(secret, list(secret.workspaces.all()), secret.owner_id == user.pk or secret.team_id in led)
        for secret in secrets
    ]
