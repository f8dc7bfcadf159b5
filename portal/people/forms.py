"""Shapes of what the pages of people and teams post."""

from typing import Any

from django import forms

from portal.accounts.actions import LARGEST_SHARE
from portal.accounts.models import Role, Team


def _teams() -> list[tuple[str, str]]:
    return list(Team.objects.values_list("slug", "name"))


class InviteForm(forms.Form):
    username = forms.CharField(label="User name", max_length=60, help_text="What they sign in with.")
    name = forms.CharField(label="Full name", max_length=100)
    email = forms.CharField(label="E-mail", required=False, max_length=254, help_text="Where warnings go.")
    team = forms.ChoiceField(label="Team", required=False, help_text="Only members of a team can launch.")
    role = forms.ChoiceField(label="Role in the team", choices=Role.choices, initial=Role.MEMBER)
    staff = forms.BooleanField(label="Administrator", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["team"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "None yet"), *_teams()]


class TeamForm(forms.Form):
    name = forms.CharField(label="Name", max_length=100)
    slug = forms.CharField(
        label="Short name", max_length=39, help_text="In addresses and as the folder /home/<short name>; it stays."
    )


class ShareForm(forms.Form):
    share = forms.IntegerField(
        label="Share of the machines",
        min_value=1,
        max_value=LARGEST_SHARE,
        help_text="Counts where teams wait for room: a team with 2 gets twice as much as one with 1.",
    )


class JoinForm(forms.Form):
    team = forms.ChoiceField(label="Team")
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.MEMBER)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["team"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = _teams()
