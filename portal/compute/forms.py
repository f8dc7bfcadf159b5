"""Shapes of what the pages about nodes, and about what others run, post."""

from django import forms

from portal.compute.looking_after import LONGEST

LONGEST_REASON = 200


class MessageForm(forms.Form):
    text = forms.CharField(
        label="Message",
        max_length=LONGEST,
        widget=forms.Textarea({"rows": 3}),
        help_text="They get it as a notice, and by mail where Berth knows their address, with your name.",
    )


class StopForm(forms.Form):
    because = forms.CharField(
        label="Reason", max_length=LONGEST, widget=forms.Textarea({"rows": 2}), help_text="Its owner reads it."
    )


class DrainForm(forms.Form):
    """Times are the reader's."""

    until = forms.DateTimeField(
        label="Until",
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="What has not ended by then is stopped. At most 7 days ahead.",
    )
    because = forms.CharField(
        label="Reason", max_length=LONGEST_REASON, help_text="The owners of what runs there read it."
    )
