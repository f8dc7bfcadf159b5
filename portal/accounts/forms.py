"""Shapes of what account pages post."""

from django import forms

from portal.accounts.states import SCOPES

WORDS = {
    "workspaces": "workspaces",
    "jobs": "jobs",
    "usage": "usage and cost",
    "quota": "quota",
    "admin": "administration",
}


def scope_choices(staff: bool) -> list[tuple[str, str]]:
    shown = [scope for scope in SCOPES if staff or not scope.startswith("admin")]
    return [(scope, f"{scope.split(':')[1].capitalize()} {WORDS[scope.split(':')[0]]}") for scope in shown]


class TokenForm(forms.Form):
    name = forms.CharField(label="Name", max_length=100, help_text="Where it is used, such as “laptop”.")
    scopes = forms.MultipleChoiceField(label="It may", widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(label="Days until it ends", initial=30, min_value=1, max_value=365)

    def __init__(self, *args: object, staff: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = scope_choices(staff)


class KeyForm(forms.Form):
    key = forms.CharField(
        label="Public key",
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": "ssh-ed25519 AAAA… you@laptop"}),
        help_text="The content of ~/.ssh/id_ed25519.pub. None there? Make one: ssh-keygen -t ed25519",
    )
    name = forms.CharField(
        label="Name", required=False, max_length=100, help_text="Left empty, it is the key's own comment."
    )
