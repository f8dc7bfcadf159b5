"""A browser of each one's own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import People


@pytest.fixture
def signed_in(people: People) -> Callable[[Any], Client]:
    def enter(user: Any) -> Client:
        client = Client()
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
        return client

    return enter


@pytest.fixture
def admin(people: People, signed_in: Callable[[Any], Client]) -> Client:
    return signed_in(people.ada)
