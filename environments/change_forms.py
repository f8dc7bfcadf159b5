"""Shapes of what the workspace page posts to change, share or hand over; what it means is checked in the actions."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms

from environments import access, addresses
from environments.cards import size_text
from environments.checks import NAME_LENGTH
from environments.models import Workspace
from environments.parameter_forms import ParametersForm, initial_of
from environments.states import ShareRight
from environments.variables import text_of, variables_of
from portal.accounts.access import teams_of
from portal.compute.models import Size
from portal.lib import words
from portal.lib.money import Money
from portal.usage.project_field import project_field

LONGEST_TEXT = 500_000
HOURS = {1: "1 hour", 4: "4 hours", 8: "8 hours", 24: "1 day", 72: "3 days", 168: "1 week", 720: "30 days"}
RIGHTS = {
    ShareRight.VIEW: "See its page, log and metrics; not go inside",
    ShareRight.USE: "Use it: they can read and change all your files in it",
}
PATH_MODE = "They see its page, log and metrics. Using it is not possible here: all workspaces share one web address."


class ResizeForm(forms.Form):
    size = forms.ChoiceField(label="Size", widget=forms.RadioSelect)

    def __init__(self, *args: Any, sizes: Iterable[Size], prices: dict[str, Money], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choices(self, "size", [(size.slug, _described(size, prices[size.slug])) for size in sizes])


def _described(size: Size, per_hour: Money) -> str:
    return f"{size.slug}: {size_text(size)} · {words.money(per_hour)} per hour"


class SettingsForm(ParametersForm):
    env = forms.CharField(
        label="Environment variables",
        required=False,
        max_length=LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="NAME=value, one a line.",
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["project"] = project_field(teams_of(workspace.owner))
        self.initial = {"project": workspace.project, "env": text_of(workspace.environment)}
        self.initial |= initial_of(workspace.parameters)
        self.add_parameters(workspace.version.parameters)

    def clean_env(self) -> dict[str, str]:
        return variables_of(self.cleaned_data["env"])


class DuplicateForm(forms.Form):
    name = forms.CharField(
        label="Name of the copy", required=False, max_length=NAME_LENGTH, help_text="Left empty, Berth finds one."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = "copy_%s"


class ShareForm(forms.Form):
    receiver = forms.ChoiceField(label="With")
    right = forms.ChoiceField(label="They may", widget=forms.RadioSelect, initial=ShareRight.VIEW)
    hours = forms.TypedChoiceField(label="For", coerce=int, choices=list(HOURS.items()), initial=8)

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = [(f"team:{team.slug}", f"Team {team.name}") for team in teams_of(workspace.owner)]
        people = [
            (f"user:{person.username}", person.get_full_name()) for person in access.colleagues_of(workspace.owner)
        ]
        _choices(self, "receiver", [("", "Choose…"), ("Teams", teams), ("People", people)] if people else [])
        _choices(self, "right", [(right, text) for right, text in RIGHTS.items() if _possible(right)])
        if addresses.path_mode():
            self.fields["right"].help_text = PATH_MODE

    @property
    def lasting(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["hours"])

    def asked(self) -> dict[str, str]:
        kind, _, name = self.cleaned_data["receiver"].partition(":")
        return {kind: name}


def _possible(right: ShareRight) -> bool:
    return right == ShareRight.VIEW or not addresses.path_mode()


class OfferForm(forms.Form):
    to = forms.ChoiceField(label="To")

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        heirs = [(person.username, person.get_full_name()) for person in access.heirs_of(workspace)]
        _choices(self, "to", [("", "Choose…"), *heirs] if heirs else [])


def _choices(form: forms.Form, name: str, choices: list[Any]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices
