"""Secrets of a workspace: chosen by name, delivered as files at each start, kept nowhere on the way, masked in logs."""

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments import actions, changes, delivery, handover
from environments.models import Workspace
from portal.accounts import secret_actions
from portal.accounts.models import Membership, Secret
from portal.accounts.secret_actions import NewSecret
from portal.audit.models import AuditEvent
from portal.compute import log_reading, specs
from portal.compute.agent import collecting
from portal.compute.masking import MASK
from portal.compute.models import Allocation, Transition
from portal.compute.states import Phase, Reason
from portal.lib.errors import Invalid
from tests.conftest import People

pytestmark = pytest.mark.django_db

VALUE = "hunter2-hunter2"
TRICKY = "a'b\"c $HOME `id` \\n\nsecond line of it\n"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"
Make = Callable[..., Workspace]
SignIn = Callable[[Any], Client]


def keep(user: Any, name: str = "HF_TOKEN", **fields: Any) -> Secret:
    new = NewSecret(**({"name": name, "value": VALUE} | fields))
    return secret_actions.add(user, new, actor=user.username)


def files_in(engine: Any, workspace: Workspace) -> dict[str, bytes]:
    """What the container of its latest start was given."""
    allocation = Allocation.objects.get(owner_id=workspace.pk, phase=Phase.RUNNING)
    found: dict[str, bytes] = engine.containers[specs.container_name(allocation)].files
    return found


def test_they_are_files_of_the_container_and_variables_where_wanted(
    people: People, make_workspace: Make, settle: Any, fake_engine: Any
) -> None:
    keep(people.vera, "PLAIN")
    keep(people.vera, "TRICKY", value=TRICKY, variable=True)
    keep(people.luis, "DEPLOY", value=KEY, kind="ssh-key", team="vision")
    keep(people.vera, "NOT_CHOSEN", variable=True)
    workspace = make_workspace(secrets=["PLAIN", "TRICKY", "DEPLOY"])
    settle()
    found = files_in(fake_engine, workspace)
    assert {path: found[path] for path in sorted(found) if "/secrets/" in path} == {
        "/run/berth/secrets/DEPLOY": KEY.encode(),
        "/run/berth/secrets/PLAIN": VALUE.encode(),
        "/run/berth/secrets/TRICKY": TRICKY.encode(),
    }
    assert sourced(found["/run/berth/environment"], "TRICKY") == TRICKY
    assert "/secrets/DEPLOY' -o IdentitiesOnly=yes" in sourced(found["/run/berth/environment"], "GIT_SSH_COMMAND")
    assert b"PLAIN" not in found["/run/berth/environment"]


def sourced(script: bytes, name: str) -> str:
    """The variable as a program sees it that a shell starts after reading the script."""
    command = ["/bin/sh", "-euc", f'. /dev/stdin; printenv {name}; echo -n "|"']
    printed = subprocess.run(command, input=script, capture_output=True, check=True, env={"BERTH_FILES": "/f"}).stdout
    return printed.decode().removesuffix("\n|")


def test_without_secrets_there_are_no_files(make_workspace: Make, settle: Any, fake_engine: Any) -> None:
    workspace = make_workspace()
    settle()
    assert files_in(fake_engine, workspace) == {}


def test_values_are_kept_nowhere_on_the_way(
    people: People, make_workspace: Make, settle: Any, fake_engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keep(people.vera, variable=True)
    workspace = make_workspace(secrets=["HF_TOKEN"])
    settle()
    assert VALUE.encode() in files_in(fake_engine, workspace).values()
    for model in (Workspace, Allocation, Transition, AuditEvent, Secret):
        assert VALUE not in serializers.serialize("json", model.objects.all())
    assert VALUE not in caplog.text
    assert VALUE not in repr(fake_engine.containers)
    assert VALUE not in repr(specs.render(Allocation.objects.get()))


def test_a_restart_delivers_what_is_there_then(
    people: People, make_workspace: Make, settle: Any, fake_engine: Any
) -> None:
    secret = keep(people.vera)
    workspace = make_workspace(secrets=["HF_TOKEN"])
    settle()
    secret_actions.replace(secret, value="another-value", actor="vera")
    assert files_in(fake_engine, workspace)["/run/berth/secrets/HF_TOKEN"] == VALUE.encode()
    actions.restart(workspace, actor="vera")
    settle()
    assert files_in(fake_engine, workspace)["/run/berth/secrets/HF_TOKEN"] == b"another-value"
    secret_actions.delete(secret, actor="vera")
    actions.restart(workspace, actor="vera")
    settle()
    assert files_in(fake_engine, workspace) == {}


def test_who_has_left_the_team_has_left_its_secrets(people: People, make_workspace: Make) -> None:
    keep(people.luis, "TEAMS", team="vision")
    keep(people.vera, "MINE")
    workspace = make_workspace(secrets=["TEAMS", "MINE"])
    assert set(delivery.files_for(workspace)) == {"/run/berth/secrets/TEAMS", "/run/berth/secrets/MINE"}
    Membership.objects.filter(user=people.vera).delete()
    assert set(delivery.files_for(workspace)) == {"/run/berth/secrets/MINE"}


def test_what_was_chosen_stays_chosen_when_a_personal_one_of_that_name_comes(
    people: People, make_workspace: Make
) -> None:
    keep(people.luis, team="vision")
    workspace = make_workspace(secrets=["HF_TOKEN"])
    keep(people.vera, value="my own value")
    assert delivery.files_for(workspace) == {"/run/berth/secrets/HF_TOKEN": VALUE.encode()}
    other = make_workspace(secrets=["HF_TOKEN"])
    assert delivery.files_for(other) == {"/run/berth/secrets/HF_TOKEN": b"my own value"}


@pytest.mark.parametrize("name", ["NOBODYS", "ODAS", "RISKS", ""])
def test_one_that_is_not_theirs_is_named_and_nothing_is_made(people: People, make_workspace: Make, name: str) -> None:
    keep(people.oda, "ODAS")
    keep(people.vera, "MINE")
    Secret.objects.create(team=people.oda.teams.get(), name="RISKS", kind="value", key_id="k", sealed=b"")
    with pytest.raises(Invalid) as refused:
        make_workspace(secrets=["MINE", name])
    assert list(refused.value.fields) == ["secrets"]
    assert f"“{name}”" in refused.value.detail
    assert not Workspace.objects.exists()


def test_too_many_are_refused(people: People, make_workspace: Make) -> None:
    names = [keep(people.vera, f"S{number}").name for number in range(21)]
    with pytest.raises(Invalid, match="At most 20"):
        make_workspace(secrets=names)
    assert make_workspace(secrets=names[:20] * 2).secrets.count() == 20


def test_a_value_that_cannot_be_read_ends_the_start_with_the_reason(
    people: People, make_workspace: Make, settle: Any, fake_engine: Any
) -> None:
    secret = keep(people.vera)
    workspace = make_workspace(secrets=["HF_TOKEN"])
    Secret.objects.update(sealed=bytes(secret.sealed)[:-1] + b"\0")
    settle()
    allocation = Allocation.objects.get()
    assert (allocation.phase, allocation.reason) == (Phase.ENDED, Reason.SECRET_ERROR)
    assert "HF_TOKEN cannot be read" in allocation.message
    assert fake_engine.containers == {}
    secret_actions.replace(secret, value=VALUE, actor="vera")
    actions.start(workspace, actor="vera")
    settle()
    assert files_in(fake_engine, workspace) == {"/run/berth/secrets/HF_TOKEN": VALUE.encode()}


def test_the_log_shows_no_line_of_them(
    people: People,
    make_workspace: Make,
    settle: Any,
    fake_engine: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.LOG_STORAGE = tmp_path
    keep(people.vera)
    keep(people.vera, "DEPLOY", value=KEY, kind="ssh-key")
    make_workspace(secrets=["HF_TOKEN", "DEPLOY"])
    settle()
    allocation = Allocation.objects.get()
    name = specs.container_name(allocation)
    fake_engine.write(name, f"token is {VALUE}!\n{KEY}done\n".encode())
    fake_engine.end(name, 0)
    monkeypatch.setattr(collecting, "runtime", lambda: fake_engine.driver)
    monkeypatch.setattr(collecting, "close_old_connections", lambda: None)
    collecting._follow(allocation)
    assert [line.text for line in log_reading.lines_after(allocation)] == [
        f"token is {MASK}!",
        MASK,
        MASK,
        MASK,
        "done",
    ]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.gz"))
    assert VALUE.encode() not in kept


def test_a_copy_has_them_too_and_who_takes_it_over_has_the_teams(
    people: People, make_workspace: Make, settle: Any
) -> None:
    keep(people.vera)
    keep(people.luis, "TEAMS", team="vision")
    workspace = make_workspace(secrets=["HF_TOKEN", "TEAMS"])
    copy = changes.duplicate(workspace, actor="vera")
    assert set(delivery.files_for(copy)) == {"/run/berth/secrets/HF_TOKEN", "/run/berth/secrets/TEAMS"}
    settle()
    actions.stop(workspace, actor="vera")
    settle()
    taken = handover.accept(handover.offer(workspace, "luis", people.vera))
    assert [secret.name for secret in taken.secrets.all()] == ["TEAMS"]
    assert set(delivery.files_for(taken)) == {"/run/berth/secrets/TEAMS"}


def test_another_choice_counts_from_the_next_start(people: People, make_workspace: Make) -> None:
    keep(people.vera)
    keep(people.vera, "OTHER")
    workspace = make_workspace(secrets=["HF_TOKEN"])
    actions.choose_secrets(workspace, ["OTHER"], actor="vera")
    assert set(delivery.files_for(workspace)) == {"/run/berth/secrets/OTHER"}
    with pytest.raises(Invalid):
        actions.choose_secrets(workspace, ["OTHER", "NOBODYS"], actor="vera")
    assert [secret.name for secret in workspace.secrets.all()] == ["OTHER"]
    event = AuditEvent.objects.get(verb="workspace.choose_secrets")
    assert (event.before, event.after) == ({"secrets": ["HF_TOKEN"]}, {"secrets": ["OTHER"]})


def test_pages_offer_them_at_launch_and_later(signed_in: SignIn, people: People, catalog: None) -> None:
    client, launch = signed_in(people.vera), "/workspaces/new/jupyter-python/"
    assert "None yet. Tokens" in client.get(launch).content.decode()
    keep(people.vera)
    keep(people.luis, "TEAMS", team="vision")
    keep(people.oda, "ODAS")
    page = client.get(launch).content.decode()
    assert "HF_TOKEN · yours" in page
    assert "TEAMS · of Vision" in page
    assert "ODAS" not in page
    refused = client.post(launch, {"size": "small", "secrets": ["HF_TOKEN", "ODAS"]})
    assert refused.status_code == 422
    assert "no secret “ODAS”" in refused.content.decode()
    assert client.post(launch, {"size": "small", "secrets": ["HF_TOKEN", "TEAMS"]}).status_code == 302
    workspace = Workspace.objects.get()
    shown = client.get(f"/workspaces/{workspace.pk}/").content.decode()
    assert "<code>HF_TOKEN</code>" in shown
    assert "Used by" in client.get("/secrets/").content.decode()
    choose = f"/workspaces/{workspace.pk}/secrets/"
    assert "checked" in client.get(choose).content.decode()
    assert client.post(choose, {"secrets": ["ODAS"]}).status_code == 422
    assert client.post(choose, {"secrets": ["TEAMS"]}).status_code == 302
    assert [secret.name for secret in workspace.secrets.all()] == ["TEAMS"]
    assert client.post(choose, {}).status_code == 302
    assert not workspace.secrets.exists()
    for user, status in ((people.luis, 403), (people.oda, 404), (people.ada, 403)):
        assert signed_in(user).get(choose).status_code == status


def test_deleting_one_says_who_starts_without_it(signed_in: SignIn, people: People, make_workspace: Make) -> None:
    secret = keep(people.vera)
    workspace = make_workspace(secrets=["HF_TOKEN"], name="churn study")
    client = signed_in(people.vera)
    assert "churn study starts without it" in client.get(f"/secrets/{secret.pk}/delete/").content.decode()
    client.post(f"/secrets/{secret.pk}/delete/")
    assert delivery.files_for(workspace) == {}


def test_a_list_of_secrets_takes_as_many_queries_as_one(
    signed_in: SignIn, people: People, make_workspace: Make
) -> None:
    client = signed_in(people.vera)
    keep(people.vera, "S0")
    make_workspace(secrets=["S0"])

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get("/secrets/").status_code == 200
        return len(seen)

    client.get("/secrets/")
    one = queries()
    for number in range(1, 8):
        keep(people.vera, f"S{number}")
        make_workspace(secrets=[f"S{number}", "S0"])
    assert queries() == one


def test_the_repository_to_clone_is_a_file_too(make_workspace: Make) -> None:
    workspace = make_workspace(git_url="https://git.example.org/team/study.git", git_ref="dev")
    assert delivery.files_for(workspace) == {"/run/berth/git": b"https://git.example.org/team/study.git\ndev\n"}
