"""Shape of what the page of announcements posts."""

from typing import Any

from django import forms

from portal.announcements.actions import LONGEST_TEXT, Wording
from portal.announcements.models import Level

MINUTES = "%Y-%m-%dT%H:%M"


def _moment(label: str, help_text: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput({"type": "datetime-local"}, format=MINUTES)
    return forms.DateTimeField(label=label, required=False, widget=widget, help_text=help_text)


class AnnouncementForm(forms.Form):
    """Times are the reader's."""

    text = forms.CharField(label="Text", max_length=LONGEST_TEXT, widget=forms.Textarea({"rows": 3}))
    level = forms.ChoiceField(
        label="Level", choices=Level.choices, initial=Level.INFO, help_text="Only information can be dismissed."
    )
    starts_at = _moment("From", "Empty is now.")
    ends_at = _moment("Until", "Empty is until you end it.")
    maintenance = forms.BooleanField(
        label="Maintenance: nothing new starts in this time",
        required=False,
        help_text="What runs goes on; what is launched waits, and starts by itself at the end.",
    )
    public = forms.BooleanField(label="Also on the sign-in page", required=False)

    @property
    def wording(self) -> Wording:
        data: dict[str, Any] = self.cleaned_data
        return Wording(**data)
