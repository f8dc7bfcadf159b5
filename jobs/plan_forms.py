"""Forms of sweeps and schedules: the form of a job, and what makes many of it."""

import re
from typing import Any

from django import forms

from environments.access import datasets_for
from environments.spec import as_text
from jobs.form_lines import scalar
from jobs.plan_models import STILL_MINUTES
from jobs.plan_states import Goal, Missed, Overlap, Space
from jobs.scheduling import LONGEST_STILL, ScheduleAsked
from jobs.submit_form import LONGEST, SubmitForm
from jobs.sweeps import SweepAsked
from portal.lib.errors import Invalid

PLANNED = ("name", "cron", "time_zone", "overlap", "missed", "on_change", "still_minutes")
RANGE = "…"
_RANGE = re.compile(r"(\S+)\s+(?:…|\.\.\.?)\s+(\S+)((?:\s+\w+)*)")


class PlanForm(SubmitForm):
    """Sentences about the job inside stand beside the job's own fields."""

    def refuse(self, problem: Invalid) -> None:
        fields = {name.removeprefix("job."): said for name, said in problem.fields.items()}
        super().refuse(Invalid(problem.detail, fields=fields, next_step=problem.next_step))


class SweepForm(PlanForm):
    kind = forms.ChoiceField(label="Points", choices=Space.choices, required=False)
    space = forms.CharField(
        label="What varies",
        required=False,
        strip=False,
        max_length=LONGEST,
        widget=forms.Textarea(
            attrs={"rows": 3, "wrap": "off", "spellcheck": "false", "placeholder": "lr = 0.1, 0.01\ndepth = 3, 5"}
        ),
        help_text="One parameter on each line with its values: lr = 0.1, 0.01. At random also a range: "
        "lr = 0.0001 … 0.1 log, or depth = 3 … 9 integer.",
    )
    count = forms.IntegerField(label="How many points, at random", required=False)
    seed = forms.IntegerField(
        label="Seed, at random", required=False, help_text="The same seed draws the same points. Left empty: 0."
    )
    parallelism = forms.IntegerField(label="Points that run at once", required=False, initial=2)
    metric = forms.CharField(
        label="Metric",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "loss"}),
        help_text="A name that the program tells with lines such as ::metric loss=0.31::",
    )
    goal = forms.ChoiceField(label="Best is", choices=Goal.choices, required=False)

    def clean_space(self) -> dict[str, Any]:
        return space_of(self.cleaned_data["space"])

    @property
    def sweep(self) -> SweepAsked:
        job, data = self.asked, self.cleaned_data
        return SweepAsked(
            job=job,
            name=data.get("name", ""),
            kind=data.get("kind") or Space.GRID,
            space=data.get("space", {}),
            count=data.get("count"),
            seed=data.get("seed") or 0,
            parallelism=1 if data.get("parallelism") is None else data["parallelism"],
            metric=data.get("metric", ""),
            goal=data.get("goal") or Goal.MIN,
        )


class ScheduleForm(PlanForm):
    cron = forms.CharField(
        label="At these times",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "0 6 * * 1-5", "spellcheck": "false"}),
        help_text="As in cron: minute, hour, day, month, weekday. “0 6 * * 1-5” is 6:00 on workdays.",
    )
    time_zone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=LONGEST,
        initial="UTC",
        help_text="Such as Europe/Berlin. It follows the clocks there, also when they change.",
    )
    on_change = forms.ChoiceField(
        label="When this dataset changes",
        required=False,
        help_text="Beside those times or instead of them. The job reads it if it is among its datasets below.",
    )
    still_minutes = forms.IntegerField(
        label="Once it has not changed for so many minutes",
        required=False,
        min_value=0,
        max_value=LONGEST_STILL,
        initial=STILL_MINUTES,
        help_text="So that a copy that takes its time is one change.",
    )
    overlap = forms.ChoiceField(label="If the run before has not ended", choices=Overlap.choices, required=False)
    missed = forms.ChoiceField(label="Times at which Berth did not run", choices=Missed.choices, required=False)

    def __init__(self, *args: Any, plan: ScheduleAsked | None = None, **kwargs: Any) -> None:
        """Begins with `plan` where there is one; what it is called then stands in the field of the job's name."""
        super().__init__(*args, **kwargs)
        self.plan = plan
        if plan:
            self.initial.update({name: getattr(plan, name) for name in PLANNED})
        datasets = [(one.name, one.name) for one in datasets_for(kwargs["user"])]
        self._choose("on_change", [("", "None"), *datasets], 2)
        if "on_change" not in self.fields:
            del self.fields["still_minutes"]
        for name in ("after", "after_condition"):  # what a schedule makes waits for its time
            self.fields.pop(name, None)

    @property
    def schedule(self) -> ScheduleAsked:
        job, data = self.asked, self.cleaned_data
        return ScheduleAsked(
            job=job,
            name=data.get("name", ""),
            cron=data.get("cron", ""),
            time_zone=data.get("time_zone", ""),
            overlap=data.get("overlap") or Overlap.SKIP,
            missed=data.get("missed") or Missed.SKIP,
            on_change=data.get("on_change") or None,
            still_minutes=STILL_MINUTES if data.get("still_minutes") is None else data["still_minutes"],
            paused=self.plan.paused if self.plan else False,
        )


def space_of(text: str) -> dict[str, Any]:
    """`name = value, value` or `name = least … most [log] [integer]` on each line. Raises ValidationError by line."""
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, values = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not equals or not values:
            wrong.append(f"Line {number}: write it as name = value, value.")
        elif name in found:
            wrong.append(f"Line {number}: {name} is there already.")
        found[name] = _values(values)
    if wrong:
        raise forms.ValidationError(wrong[:10])
    return found


def _values(text: str) -> list[Any] | dict[str, Any]:
    if not (found := _RANGE.fullmatch(text)):
        return [scalar(part.strip()) for part in text.split(",")]
    return {"min": scalar(found[1]), "max": scalar(found[2]), **dict.fromkeys(found[3].split(), True)}


def written(space: dict[str, Any]) -> list[tuple[str, str]]:
    """Each parameter and what it may be, as the form has it."""
    return [(name, _written(space[name])) for name in sorted(space)]


def _written(wanted: Any) -> str:
    if isinstance(wanted, list):
        return ", ".join(map(as_text, wanted))
    flags = [flag for flag in ("log", "integer") if wanted.get(flag)]
    return " ".join([as_text(wanted["min"]), RANGE, as_text(wanted["max"]), *flags])
