"""What the page of a running workspace tells people's own tools."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import People

pytestmark = pytest.mark.django_db


def test_each_workspace_is_a_host_of_its_own_however_its_name_is_written(
    signed_in: Callable[[Any], Client], people: People, make_workspace: Callable[..., Any], settle: Callable[[], None]
) -> None:
    made = [make_workspace(name=name) for name in ("a b", "a-b", "A/B", "éß")]
    settle()
    client = signed_in(people.vera)
    pages = [html.unescape(client.get(f"/workspaces/{one.pk}/").content.decode()) for one in made]
    entries = [
        re.findall(r"Host (\S+)\n    HostName localhost\n    Port 8004\n    User (\S+)\n", page)[0] for page in pages
    ]
    assert [user for _, user in entries] == [one.pk.lower() for one in made]
    hosts = [host for host, _ in entries]
    assert len(set(hosts)) == len(made)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.berth", host) for host in hosts)
    assert hosts[0].startswith("a-b-")
    assert [f"ssh-remote+{host}/home/berth" in page for host, page in zip(hosts, pages, strict=True)] == [True] * 4
