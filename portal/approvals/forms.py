"""Shapes of what the pages of requests for GPUs post."""

from typing import Any

from django import forms

from portal.accounts.access import teams_of
from portal.accounts.models import User
from portal.approvals.days import begin_of, end_of
from portal.quotas.actions import LONGEST_TEXT, MOST, Wish
from portal.quotas.models import GpuClass


def day(label: str, **more: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"), **more)


class AskForm(forms.Form):
    gpu_class = forms.ChoiceField(label="GPU class")
    count = forms.IntegerField(
        label="How many more", min_value=1, max_value=MOST, initial=1, help_text="Held at the same time."
    )
    scope = forms.ChoiceField(
        label="For whom",
        choices=[("me", "For me, out of my team's share"), ("team", "For my whole team")],
        initial="me",
        widget=forms.RadioSelect,
    )
    team = forms.ChoiceField(label="Team")
    starts_on = day("From", required=False, help_text="Empty is now.")
    ends_on = day("Until", help_text="The last day on which something new may start.")
    justification = forms.CharField(
        label="What for",
        max_length=LONGEST_TEXT,
        widget=forms.Textarea({"rows": 4}),
        help_text="What it is, why it needs so many, and what happens without. Others decide by it.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = teams_of(user).values_list("slug", "name")
        chosen_among(self, "team", list(teams))
        chosen_among(self, "gpu_class", [(one.slug, str(one)) for one in GpuClass.objects.filter(retired=False)])

    @property
    def wish(self) -> Wish:
        data = self.cleaned_data
        return Wish(
            gpu_class=data["gpu_class"],
            count=data["count"],
            personal=data["scope"] == "me",
            team=data["team"],
            starts_at=begin_of(data["starts_on"]) if data["starts_on"] else None,
            ends_at=end_of(data["ends_on"]),
            justification=data["justification"],
        )


class DecideForm(forms.Form):
    """`do` is which button was pressed. The version is that of the request the page showed."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    count = forms.IntegerField(label="Count", required=False, min_value=1, max_value=MOST)
    until = day("Until", required=False)
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea({"rows": 2}),
        help_text="Seen by the requester. A denial and a question need one.",
    )


class WordsForm(forms.Form):
    """One text and the version of the request it is about."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    note = forms.CharField(label="Answer", max_length=LONGEST_TEXT, widget=forms.Textarea({"rows": 3}))


def chosen_among(form: forms.Form, name: str, choices: list[tuple[str, str]]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices
