"""SSH keys in the profile: what is accepted, whose they are, and that nothing private is kept."""

from typing import Any

import asyncssh
import pytest

from portal.accounts import keys
from portal.accounts.models import PublicKey
from portal.audit.models import AuditEvent
from portal.lib.errors import Invalid, NotFound
from tests.conftest import People

pytestmark = pytest.mark.django_db


def public(kind: str = "ssh-ed25519", comment: str = "vera@laptop", **more: Any) -> str:
    return asyncssh.generate_private_key(kind, comment=comment, **more).export_public_key().decode()


@pytest.mark.parametrize(
    ("kind", "more"), [("ssh-ed25519", {}), ("ecdsa-sha2-nistp256", {}), ("ssh-rsa", {"key_size": 2048})]
)
def test_usual_kinds_are_accepted_and_named_by_their_comment(people: People, kind: str, more: Any) -> None:
    key = keys.add(people.vera, public(kind, **more), actor="vera")
    assert (key.name, key.kind, key.fingerprint[:7]) == ("vera@laptop", kind, "SHA256:")
    found = keys.by_fingerprint(key.fingerprint)
    assert found is not None and found.user == people.vera


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no public key"),
        ("hello", "no public key"),
        ("ssh-ed25519 AAAA", "no public key"),
        ("x" * 20_000, "no public key"),
        ("ssh-ed25519 ä", "no public key"),
        (asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode(), "private key"),
        (public("ssh-rsa", key_size=1024), "2048"),
        (public("ssh-dss"), "not accepted"),
    ],
)
def test_what_is_no_good_is_refused_with_the_reason(people: People, text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as refused:
        keys.add(people.vera, text, actor="vera")
    assert list(refused.value.fields) == ["key"]
    assert not PublicKey.objects.exists()


def test_a_key_belongs_to_one_person(people: People) -> None:
    text = public()
    keys.add(people.vera, text, actor="vera")
    with pytest.raises(Invalid, match="in use already"):
        keys.add(people.oda, text, actor="oda")


def test_a_deleted_key_and_one_of_a_closed_account_open_nothing(people: People) -> None:
    first, second = (keys.add(people.vera, public(), actor="vera") for _ in range(2))
    keys.delete(first, actor="vera")
    keys.delete(first, actor="vera")
    assert keys.by_fingerprint(first.fingerprint) is None
    assert AuditEvent.objects.filter(verb="key.delete").count() == 1
    type(people.vera).objects.filter(pk=people.vera.pk).update(is_active=False)
    assert keys.by_fingerprint(second.fingerprint) is None


def test_the_page_adds_and_deletes_and_keeps_what_was_wrong_beside_its_field(signed_in: Any, people: People) -> None:
    client = signed_in(people.vera)
    assert "No key yet" in client.get("/keys/").content.decode()
    refused = client.post("/keys/", {"key": "hello"})
    assert (refused.status_code, "no public key" in refused.content.decode()) == (422, True)
    assert client.post("/keys/", {"key": public(), "name": "desktop"}).status_code == 302
    key = PublicKey.objects.get()
    assert "desktop" in client.get("/keys/").content.decode()
    assert signed_in(people.oda).post(f"/keys/{key.pk}/delete/").status_code == 404
    assert signed_in(people.vera).get(f"/keys/{key.pk}/delete/").status_code == 405
    assert client.post(f"/keys/{key.pk}/delete/").status_code == 302
    with pytest.raises(NotFound):
        keys.key_of(people.vera, key.pk)
