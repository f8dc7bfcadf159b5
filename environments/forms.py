"""Shapes of what pages post; what it means is checked in the actions."""

from django import forms

from environments.actions import NAME_LENGTH
from portal.accounts.models import Team


class LaunchForm(forms.Form):
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=10_000,
        help_text="Left empty, Berth finds one. You can change it later.",
    )
    team = forms.ChoiceField(label="Charged to", required=False)
    size = forms.CharField(required=False, max_length=10_000, widget=forms.HiddenInput)

    def __init__(self, *args: object, teams: list[Team], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choice = self.fields["team"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(team.slug, team.name) for team in teams]
        if len(teams) < 2:
            del self.fields["team"]


class RenameForm(forms.Form):
    name = forms.CharField(label="Name", max_length=NAME_LENGTH)
