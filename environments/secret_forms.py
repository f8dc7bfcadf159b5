"""Shapes of what the pages of secrets post; a value that came in is never written back into a page."""

from collections.abc import Iterable
from typing import Any

from django import forms

from portal.accounts.models import Secret, SecretKind, Team, User

FILE, VARIABLE, SSH_KEY = "file", "variable", "ssh-key"
DELIVERED = {
    VARIABLE: "A value: file and variable",
    FILE: "A value: file only",
    SSH_KEY: "An SSH private key",
}


class WriteOnly(forms.Textarea):
    """Comes back empty, whatever was sent; nothing in the browser looks at it either."""

    def __init__(self) -> None:
        super().__init__({"rows": 4, "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"})

    def format_value(self, value: Any) -> str:
        return ""


def value_field() -> forms.CharField:
    return forms.CharField(
        label="Value",
        strip=False,
        widget=WriteOnly,
        help_text="Up to 64 KiB. Nobody can read it here again, you neither; workspaces can.",
    )


class SecretForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=1000,
        help_text="Such as HF_TOKEN: the file and the environment variable are called so.",
    )
    kind = forms.ChoiceField(label="What it is", choices=list(DELIVERED.items()))
    team = forms.ChoiceField(label="Who may use it", required=False)
    value = value_field()

    def __init__(self, *args: Any, led: Iterable[Team], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = [(team.slug, f"everybody in {team.name}") for team in led]
        choice = self.fields["team"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [("", "only you"), *teams]
        if not teams:
            del self.fields["team"]


class ReplaceForm(forms.Form):
    kind = forms.ChoiceField(label="What it is")
    value = value_field()

    def __init__(self, *args: Any, secret: Secret, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["kind"] = VARIABLE if secret.variable else FILE
        choice = self.fields["kind"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(kind, DELIVERED[kind]) for kind in (VARIABLE, FILE)]
        if secret.kind == SecretKind.SSH_KEY:
            del self.fields["kind"]
        value = self.fields["value"]
        value.label, value.required = "New value", "kind" not in self.fields
        if not value.required:
            value.help_text = "Left empty, the value stays as it is. Nobody can read it here again."


class SecretsField(forms.MultipleChoiceField):
    """The secrets a person may choose for a workspace, by name; none is asked for where there is none."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, user: User, secrets: Iterable[Secret]) -> None:
        super().__init__(
            label="Delivered at each start", required=False, choices=[(s.name, _choice(user, s)) for s in secrets]
        )

    def valid_value(self, value: str) -> bool:
        """What is not among them is refused where launches are checked, by name."""
        return True


def _choice(user: User, secret: Secret) -> str:
    whose = "yours" if secret.owner_id == user.pk else f"of {secret.team.name if secret.team else 'a team'}"
    kind = "SSH key" if secret.kind == SecretKind.SSH_KEY else "variable and file" if secret.variable else "file"
    return f"{secret.name} · {whose} · {kind}"
