"""Shapes of what the pages of notices and webhooks post."""

from django import forms

from portal.notices.states import CHOSEN, CHOSEN_BY_MAIL, DAILY_AT
from portal.notices.webhook_actions import LONGEST_URL


class MailForm(forms.Form):
    kinds = forms.MultipleChoiceField(
        label="Send me a mail when",
        choices=CHOSEN_BY_MAIL,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What people write to you, and that something of yours is stopped, always comes by mail too.",
    )

    daily = forms.BooleanField(
        label="All of a day in one mail",
        required=False,
        help_text=f"At {DAILY_AT:%H:%M} UTC. Otherwise each comes at once.",
    )


class WebhookForm(forms.Form):
    url = forms.CharField(
        label="Address",
        max_length=LONGEST_URL,
        widget=forms.URLInput(attrs={"placeholder": "https://hooks.example.org/berth"}),
        help_text="It gets a POST with JSON, signed with a secret that is shown once.",
    )
    kinds = forms.MultipleChoiceField(label="When", choices=CHOSEN, widget=forms.CheckboxSelectMultiple)
