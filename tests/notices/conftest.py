"""Notices to vera, and a receiver on this machine that an administrator allows."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portal.notices.models import Notice, Webhook
from portal.notices.states import CHOSEN
from tests.conftest import People
from tests.notices.receiver import Receiver, listening

ALL = [kind for kind, _ in CHOSEN]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with listening() as found:
        settings.WEBHOOK_HOSTS = [found.host]
        yield found


@pytest.fixture
def tell(people: People) -> Callable[..., Notice]:
    """Tell somebody of a job's end."""
    from portal.notices import actions
    from portal.notices.states import Kind

    def make(user: Any = None, subject: str = "job-1", kind: Kind = Kind.JOB_FAILED, **more: Any) -> Notice:
        user = user or people.vera
        actions.tell(user, kind, subject, "Job train failed: exit code 1.", "/jobs/1/", **more)
        return Notice.objects.get(user=user, kind=kind, subject=subject)

    return make


@pytest.fixture
def hook(people: People) -> Callable[..., tuple[Webhook, str]]:
    """A webhook and its secret."""
    from portal.notices import webhook_actions

    def make(url: str, user: Any = None, kinds: list[str] = ALL) -> tuple[Webhook, str]:
        user = user or people.vera
        made = webhook_actions.add(user, url, kinds, actor=user.username)
        return made.webhook, made.secret

    return make
