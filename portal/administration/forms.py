"""Shape of what the audit record is searched by."""

from typing import Any

from django import forms

LARGEST_ID = 2**63 - 1


def _day(label: str) -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))


class AuditForm(forms.Form):
    """Days are the reader's. `before` is of the link to older events: none from this id on."""

    actor = forms.CharField(label="Who", required=False, max_length=200, help_text="A user name, such as vera.")
    verb = forms.CharField(
        label="What", required=False, max_length=60, help_text="Or how it begins, such as “workspace.”"
    )
    target = forms.CharField(label="To what", required=False, max_length=200, help_text="Its name, or how it begins.")
    since = _day("From")
    until = _day("To")
    before = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("since") and data.get("until") and data["since"] > data["until"]:
            self.add_error("until", "This day is before the first one.")
        return data
