"""Secrets: who may keep, see, change and use them; rotation; and a start that refuses without their key."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client

from portal.accounts import secret_actions, vault
from portal.accounts.access import secrets_by_name
from portal.accounts.models import Membership, Secret, Team
from portal.accounts.secret_actions import LARGEST, NewSecret
from portal.audit.models import AuditEvent
from portal.lib import sealing
from portal.lib.errors import Invalid
from portal.lib.sealing import Unreadable
from portal.lib.starting import refuse_if_misconfigured
from tests.conftest import People

pytestmark = pytest.mark.django_db

VALUE = "hunter2-hunter2"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNzaC1rZXktdjEA\r\n-----END OPENSSH PRIVATE KEY-----"
ONE, TWO, THREE = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
SignIn = Callable[[Any], Client]


def keep(user: Any, name: str = "HF_TOKEN", **fields: Any) -> Secret:
    new = NewSecret(**({"name": name, "value": VALUE} | fields))
    return secret_actions.add(user, new, actor=user.username)


def use_keys(settings: Any, *configured: str) -> None:
    settings.SECRETS_KEYS = sealing.keys(",".join(configured), "installation")


def test_what_is_kept_is_sealed_and_audited_without_its_value(people: People) -> None:
    secret = keep(people.vera)
    row = Secret.objects.get()
    assert VALUE.encode() not in bytes(row.sealed)
    assert vault.value_of(row) == VALUE.encode()
    secret_actions.replace(secret, value="another-value", actor="vera")
    secret_actions.delete(secret, actor="vera")
    events = AuditEvent.objects.filter(target=f"secret-{secret.pk}")
    assert [event.verb for event in events.order_by("id")] == ["secret.add", "secret.replace", "secret.delete"]
    assert not any(text in str([event.before, event.after]) for event in events for text in (VALUE, "another-value"))


def test_a_value_that_is_copied_to_another_row_cannot_be_opened(people: People) -> None:
    mine, theirs = keep(people.vera), keep(people.oda)
    Secret.objects.filter(pk=theirs.pk).update(sealed=mine.sealed)
    with pytest.raises(Unreadable):
        vault.value_of(Secret.objects.get(pk=theirs.pk))


def test_it_belongs_to_one_person_or_one_team(people: People) -> None:
    secret = keep(people.vera)
    team = Team.objects.get(slug="vision")
    for owner in (people.vera, None):
        with pytest.raises(IntegrityError), transaction.atomic():
            Secret.objects.filter(pk=secret.pk).update(owner=owner, team=team if owner else None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "1ST"}, "name"),
        ({"name": "A B"}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "LD_PRELOAD"}, "name"),
        ({"name": "BERTH_FILES"}, "name"),
        ({"name": "UID"}, "name"),
        ({"name": "N" * 101}, "name"),
        ({"value": ""}, "value"),
        ({"value": "a\0b"}, "value"),
        ({"value": "\udcff"}, "value"),
        ({"value": "x" * (LARGEST + 1)}, "value"),
        ({"value": "é" * (LARGEST // 2 + 1)}, "value"),
        ({"kind": "ssh-key"}, "value"),
        ({"kind": "password"}, "kind"),
        ({"kind": "ssh-key", "value": KEY, "variable": True}, "variable"),
        ({"team": "vision"}, "team"),
        ({"team": "risk"}, "team"),
    ],
)
def test_a_bad_one_is_refused_with_its_field(people: People, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        keep(people.vera, **fields)
    assert list(refused.value.fields) == [field]
    assert VALUE not in str(refused.value.fields)
    assert not Secret.objects.exists()


def test_a_name_is_used_once_by_each(people: People) -> None:
    keep(people.vera)
    keep(people.oda)
    keep(people.luis, team="vision")
    for user, team in ((people.vera, None), (people.luis, "vision")):
        with pytest.raises(Invalid) as refused:
            keep(user, team=team)
        assert list(refused.value.fields) == ["name"]
    assert Secret.objects.count() == 3


def test_line_ends_are_plain_and_a_key_ends_with_one(people: People) -> None:
    assert vault.value_of(keep(people.vera, "A_KEY", kind="ssh-key", value=KEY)).count(b"\r") == 0
    assert vault.value_of(Secret.objects.get()).endswith(b"-----END OPENSSH PRIVATE KEY-----\n")
    assert vault.value_of(keep(people.vera, "LINES", value="a\r\nb")) == b"a\nb"


def test_members_use_what_leads_keep_and_their_own_comes_first(people: People) -> None:
    vision = Team.objects.get(slug="vision")
    of_team, other = keep(people.luis, team="vision"), keep(people.luis, "OTHER", team="vision")
    assert secrets_by_name(people.vera, vision) == {"HF_TOKEN": of_team, "OTHER": other}
    mine = keep(people.vera)
    assert secrets_by_name(people.vera, vision)["HF_TOKEN"] == mine
    assert secrets_by_name(people.luis, vision)["HF_TOKEN"] == of_team
    assert secrets_by_name(people.oda, Team.objects.get(slug="risk")) == {}
    Membership.objects.filter(user=people.vera).delete()
    assert secrets_by_name(people.vera, vision) == {"HF_TOKEN": mine}


def test_all_are_moved_to_the_first_key(people: People, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    use_keys(settings, f"old:{ONE}")
    rows = [keep(people.vera, f"S{n}", value=f"value-{n}") for n in range(4)]
    use_keys(settings, f"new:{TWO}", f"old:{ONE}")
    call_command("rotate_secrets")
    assert "Sealed 4 of 4 with the key new." in capsys.readouterr().out
    use_keys(settings, f"new:{TWO}")
    for number, row in enumerate(rows):
        row.refresh_from_db()
        assert (row.key_id, vault.value_of(row)) == ("new", f"value-{number}".encode())
    assert AuditEvent.objects.get(verb="secrets.rotate").after == {"key": "new", "count": 4}


def test_a_rotation_that_was_interrupted_goes_on(people: People, settings: Any) -> None:
    use_keys(settings, f"old:{ONE}")
    for number in range(5):
        keep(people.vera, f"S{number}", value=f"value-{number}")
    use_keys(settings, f"new:{TWO}", f"old:{ONE}")
    rotation = vault.rotate(actor="test")
    for _ in range(2):
        next(rotation)
    rotation.close()  # type: ignore[attr-defined]
    assert vault.waiting() == 3
    assert {vault.value_of(row) for row in Secret.objects.all()} == {f"value-{n}".encode() for n in range(5)}
    assert len(list(vault.rotate(actor="test"))) == 3
    assert vault.waiting() == 0
    counts = AuditEvent.objects.filter(verb="secrets.rotate").order_by("id")
    assert [event.after["count"] for event in counts] == [2, 3]


def test_what_cannot_be_opened_is_named_and_stays(
    people: People, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    use_keys(settings, f"lost:{ONE}")
    lost = keep(people.vera, "LOST")
    use_keys(settings, f"old:{TWO}")
    changed, whole = keep(people.vera, "CHANGED"), keep(people.vera, "WHOLE")
    Secret.objects.filter(pk=changed.pk).update(sealed=bytes(changed.sealed)[:-1] + b"\0")
    use_keys(settings, f"new:{THREE}", f"old:{TWO}")
    with pytest.raises(CommandError, match=r"(?s)LOST \(key lost\).*CHANGED|CHANGED.*LOST \(key lost\)"):
        call_command("rotate_secrets")
    whole.refresh_from_db()
    assert vault.value_of(whole) == VALUE.encode()
    assert Secret.objects.get(pk=lost.pk).key_id == "lost"
    call_command("rotate_secrets", "--delete-unreadable")
    assert "Deleted 2" in capsys.readouterr().out
    assert list(Secret.objects.all()) == [whole]


def test_nothing_starts_without_a_key_that_is_needed(people: People, settings: Any) -> None:
    use_keys(settings, f"old:{ONE}")
    refuse_if_misconfigured()
    keep(people.vera)
    use_keys(settings, f"new:{TWO}")
    [error] = [found for found in run_checks() if found.id == "accounts.E001"]
    assert "key old" in error.msg
    assert "BERTH_SECRETS_KEYS" in str(error.hint)
    with pytest.raises(ImproperlyConfigured, match="key old"):
        refuse_if_misconfigured()
    use_keys(settings, f"new:{TWO}", f"old:{ONE}")
    refuse_if_misconfigured()


def test_the_value_is_nowhere_in_what_prints_a_secret(people: People) -> None:
    new = NewSecret(name="HF_TOKEN", value=VALUE)
    assert VALUE not in repr(new)
    assert VALUE not in repr(replace(new, variable=True))


def test_pages_take_a_value_and_never_give_it(signed_in: SignIn, people: People) -> None:
    client = signed_in(people.vera)
    assert "No secret yet" in client.get("/secrets/").content.decode()
    fields = {"name": "HF_TOKEN", "kind": "variable", "value": VALUE}
    assert client.post("/secrets/", fields).status_code == 302
    secret = Secret.objects.get()
    assert (secret.owner, secret.variable) == (people.vera, True)
    bad = client.post("/secrets/", fields)
    assert bad.status_code == 422
    assert "already" in bad.content.decode()
    replaced = client.post(f"/secrets/{secret.pk}/replace/", {"kind": "file", "value": "another-value"})
    assert replaced.status_code == 302
    secret.refresh_from_db()
    assert (vault.value_of(secret), secret.variable) == (b"another-value", False)
    too_long = client.post(f"/secrets/{secret.pk}/replace/", {"kind": "file", "value": VALUE * LARGEST})
    assert too_long.status_code == 422
    pages = [bad, too_long, *(client.get(f"/secrets/{path}") for path in ("", f"{secret.pk}/replace/"))]
    assert not any(text in page.content.decode() for page in pages for text in (VALUE, "another-value"))
    client.post(f"/secrets/{secret.pk}/replace/", {"kind": "variable", "value": ""})
    secret.refresh_from_db()
    assert (vault.value_of(secret), secret.variable) == (b"another-value", True)
    assert "Delete HF_TOKEN?" in client.get(f"/secrets/{secret.pk}/delete/").content.decode()
    client.post(f"/secrets/{secret.pk}/delete/")
    assert not Secret.objects.exists()


def test_an_ssh_key_is_kept_by_form(signed_in: SignIn, people: People) -> None:
    client = signed_in(people.vera)
    assert client.post("/secrets/", {"name": "DEPLOY", "kind": "ssh-key", "value": KEY}).status_code == 302
    secret = Secret.objects.get()
    assert (secret.kind, secret.variable) == ("ssh-key", False)
    assert client.post(f"/secrets/{secret.pk}/replace/", {"value": ""}).status_code == 422
    assert client.post(f"/secrets/{secret.pk}/replace/", {"value": KEY}).status_code == 302


def test_who_may_change_what(signed_in: SignIn, people: People) -> None:
    mine, of_team = keep(people.vera, "MINE"), keep(people.luis, "TEAMS", team="vision")
    expected = {
        people.vera: {mine: 200, of_team: 403},
        people.luis: {mine: 404, of_team: 200},
        people.oda: {mine: 404, of_team: 404},
        people.ada: {mine: 404, of_team: 404},
    }
    for user, answers in expected.items():
        client = signed_in(user)
        listed = client.get("/secrets/").content.decode()
        for secret, status in answers.items():
            for path in ("replace", "delete"):
                assert client.get(f"/secrets/{secret.pk}/{path}/").status_code == status, (user, secret, path)
            assert (secret.name in listed) == (status != 404)
        for path in ("replace", "delete"):
            assert client.get(f"/secrets/{'0' * 26}/{path}/").status_code == 404
            assert client.get(f"/secrets/x/{path}/").status_code == 404
    signed_in(people.oda).post(f"/secrets/{of_team.pk}/delete/")
    assert Secret.objects.count() == 2


def test_a_lead_keeps_a_teams_secret_by_form_and_a_member_cannot(signed_in: SignIn, people: People) -> None:
    fields = {"name": "HF_TOKEN", "kind": "file", "value": VALUE, "team": "vision"}
    assert signed_in(people.luis).post("/secrets/", fields).status_code == 302
    assert Secret.objects.get().team == Team.objects.get(slug="vision")
    assert "Who may use it" not in signed_in(people.vera).get("/secrets/").content.decode()
    assert signed_in(people.luis).post("/secrets/", fields | {"team": "risk"}).status_code == 422
