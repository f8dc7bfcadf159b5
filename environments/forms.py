"""Shapes of what pages post; what it means is checked in the actions. The launch form is in launch_form.py."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.timezone import get_current_timezone

from environments.checks import NAME_LENGTH
from environments.idle import SHORTEST_MINUTES, Rule
from environments.models import Workspace
from environments.schedules import DAYS

KEEP_HOURS = (1, 2, 4, 8, 12, 24)


def auto_stop_field() -> forms.IntegerField:
    return forms.IntegerField(
        label="Stop after so many minutes without use",
        required=False,
        widget=forms.NumberInput(attrs={"min": SHORTEST_MINUTES}),
    )


def bounds(rule: Rule) -> str:
    """What the template's rule says about minutes of one's own."""
    most = int(rule.most.total_seconds() // 60)
    usual = f"{rule.after.total_seconds() / 60:g}" if rule.after else "it does not stop by itself"
    return f"{SHORTEST_MINUTES} to {most:,}. Left empty: {usual}, as the template says."


class KeepForm(forms.Form):
    hours = forms.TypedChoiceField(label="Keep it running", required=False, coerce=int, empty_value=None)

    def __init__(self, *args: object, rule: Rule, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choice = self.fields["hours"]
        assert isinstance(choice, forms.ChoiceField)
        allowed = [hours for hours in KEEP_HOURS if timedelta(hours=hours) <= rule.most]
        choice.choices = [(hours, f"for {hours} h") for hours in allowed]


class AutoStopForm(forms.Form):
    auto_stop_minutes = auto_stop_field()

    def __init__(self, *args: object, rule: Rule, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["auto_stop_minutes"].help_text = bounds(rule)


def schedule_values(workspace: Workspace) -> dict[str, Any]:
    """What the form shows first: the schedule there is, or weekdays where the reader is."""
    row = getattr(workspace, "schedule", None)
    if row is None:
        return {"days": DAYS[:5], "time_zone": str(get_current_timezone())}
    return {"days": row.days, "start": row.start, "stop": row.stop, "time_zone": row.zone}


class ScheduleForm(forms.Form):
    days = forms.MultipleChoiceField(
        label="On", choices=[(day, day.capitalize()) for day in DAYS], widget=forms.CheckboxSelectMultiple
    )
    start = forms.TimeField(
        label="Start at", required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    stop = forms.TimeField(
        label="Stop at",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="Whatever runs then. On the morning after, if it is not later than the start.",
    )
    time_zone = forms.CharField(label="Time zone", max_length=60, help_text="Such as Europe/Berlin or UTC.")


class RenameForm(forms.Form):
    name = forms.CharField(label="Name", max_length=NAME_LENGTH)
