"""The form of a submission: it begins with one, and asks for the same but for the fields that were changed."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.choices import flatten_choices

from environments import access as environments
from environments.image_references import EXAMPLE
from environments.models import Template
from environments.secret_forms import SecretsField
from environments.variables import text_of, variables_of
from jobs import access, checks
from jobs.form_lines import as_lines, parameters_of, parameters_text, rules_of, rules_text, sent
from jobs.plan_states import AfterCondition
from jobs.states import UNFINISHED, Priority
from jobs.submission import PLAIN_SHELL, SHELL, Submission, in_shell, script, written
from portal.accounts.access import leads, secrets_seen_by
from portal.accounts.models import Team, User
from portal.lib import words
from portal.lib.errors import Invalid
from portal.usage.project_field import project_field

LONGEST = 100_000
MINUTE = 60
MOST_WAITED_FOR = 50
WORKSPACE = "workspace:"
"""Begins a choice of environment that is that of a workspace."""
IMAGE = "image:"
"""The choice of an image that is named beside it."""
Choices = list[tuple[str, str]] | list[tuple[str, list[tuple[str, str]]]]
DEFAULT = Submission(command=())
BASIC = {"name", "team", "project", "env", "priority", "inputs", "secrets"}
DETAILS = {"version", "grace_seconds", "retry_delay_seconds", "retry_rules", "after", "after_condition"}
BESIDE = {"max_duration_seconds": "max_duration_minutes", "workspace": "template"}
"""Where a sentence about a field stands that the form calls otherwise."""

NESTED: dict[str, forms.Field] = {
    "git.url": forms.CharField(
        label="Git repository",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "https://git.example.org/team/churn.git"}),
    ),
    "git.ref": forms.CharField(label="Branch, tag or commit", required=False, max_length=LONGEST),
    "model.name": forms.CharField(
        label="Keep as the model",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "churn-model"}),
        help_text="When it has succeeded, as the next version.",
    ),
    "model.path": forms.CharField(
        label="What of it",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "outputs/model.pkl"}),
        help_text="A file or folder that it leaves.",
    ),
}
"""Fields whose names, those of the API, no attribute of a class can have."""


class SubmitForm(forms.Form):
    """What it holds is only read here; what it means is checked in the actions."""

    template = forms.ChoiceField(label="Environment", required=False)
    image = forms.CharField(
        label="Image",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": EXAMPLE, "spellcheck": "false", "autocapitalize": "none"}),
    )
    command = forms.CharField(
        label="Command",
        required=False,
        strip=False,
        max_length=LONGEST,
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "wrap": "off",
                "spellcheck": "false",
                "placeholder": "python train.py --lr {parameters.lr}",
            }
        ),
        help_text="Lines for bash (sh in an image), run in the folder of the code; the first that fails ends the job.",
    )
    folder = forms.CharField(
        label="Or a folder or archive of your home",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "churn or churn.zip"}),
        help_text="Copied as it is now: later changes do not touch the job. A .zip or .tar.gz is unpacked.",
    )
    size = forms.CharField(required=False, max_length=LONGEST, widget=forms.HiddenInput)
    name = forms.CharField(label="Name", required=False, max_length=LONGEST, help_text="Left empty: the script's.")
    team = forms.ChoiceField(label="Charged to", required=False)
    parameters = forms.CharField(
        label="Parameters",
        required=False,
        strip=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "lr=0.001"}),
        help_text="One on each line, as name=value. {parameters.lr} in the command stands for the value of lr.",
    )
    env = forms.CharField(
        label="Environment variables",
        required=False,
        strip=False,
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "placeholder": "LOG_LEVEL=debug"}),
        help_text="One on each line, as NAME=value. Not for passwords: keep those as secrets.",
    )
    inputs = forms.MultipleChoiceField(label="Datasets", required=False, widget=forms.CheckboxSelectMultiple)
    models = forms.CharField(
        label="Models",
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"placeholder": "churn-model:7"}),
        help_text="Of the team that pays, with commas between; churn-model:latest is the newest now.",
    )
    outputs = forms.CharField(
        label="Files to keep",
        required=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "placeholder": "outputs"}),
        help_text="Files and folders below the code's folder, one on each line. $BERTH_OUTPUTS is always kept.",
    )
    max_duration_minutes = forms.IntegerField(
        label="Ends after so many minutes, if it has not by itself", required=False, min_value=1
    )
    retries = forms.IntegerField(
        label="Tried again after a failure",
        required=False,
        min_value=0,
        max_value=10,
        help_text="So many times. Where the machine was at fault it is tried again anyway.",
    )
    priority = forms.ChoiceField(label="Priority", required=False, choices=Priority.choices)
    retry_rules = forms.CharField(
        label="What may be tried again",
        required=False,
        strip=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3, "wrap": "off", "spellcheck": "false", "placeholder": "retry: exit 75"}),
        help_text="One rule on each line; the first that fits decides. “retry: exit 75, 76” looks at the exit code, "
        "“fail: log no such column” at the end of the log, “larger: reason oom” at why it ended, "
        "and takes the next larger size. Left empty: what failed is tried again, but not for want of memory or time.",
    )
    retry_delay_seconds = forms.IntegerField(
        label="Seconds before it is tried again",
        required=False,
        min_value=0,
        max_value=checks.LONGEST_RETRY_DELAY,
        help_text="Doubled for each time after the first.",
    )
    grace_seconds = forms.IntegerField(
        label="Seconds it has to end when it is asked to",
        required=False,
        min_value=0,
        max_value=checks.LONGEST_GRACE,
        help_text="To write down what it has, say. Then it is ended.",
    )
    version = forms.CharField(
        label="Version of the environment", required=False, max_length=LONGEST, help_text="Left empty: the newest."
    )
    after = forms.MultipleChoiceField(label="Waits for these jobs", required=False, widget=forms.CheckboxSelectMultiple)
    after_condition = forms.ChoiceField(label="Until", required=False, choices=AfterCondition.choices)

    def __init__(
        self,
        *args: Any,
        base: Submission,
        templates: Sequence[Template],
        patterns: Sequence[str],
        teams: Sequence[Team],
        user: User,
        shown: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        """`shown` is what stands in fields that `base` leaves open; an image that is named fits one of `patterns`."""
        super().__init__(*args, **kwargs)
        self.base, initial = base, initial_of(base)
        self.initial = initial | {name: value for name, value in shown.items() if not initial[name]}
        self.fields |= deepcopy(NESTED)
        self.fields["project"] = project_field(teams)
        self.fields["secrets"] = SecretsField(user, secrets_seen_by(user))
        mine = environments.workspaces_of(user).values_list("pk", "name")
        standard = ("Standard environments", [(one.slug, one.name) for one in templates])
        own = ("As in a workspace of yours", [(f"{WORKSPACE}{pk}", name) for pk, name in mine])
        self._choose("template", [standard, *([own] if mine else []), *self._offer_image(patterns)], 1)
        self._choose("team", [(team.slug, team.name) for team in teams], 2)
        self._offer_priorities(user)
        datasets = environments.datasets_for(user)
        self._choose("inputs", [(one.name, f"{one.name}: {one.summary}") for one in datasets], 1)
        unfinished = access.jobs_of(user).filter(state__in=UNFINISHED)[:MOST_WAITED_FOR]
        self._choose("after", [(job.pk, f"{job.name}, {job.get_state_display().lower()}") for job in unfinished], 1)
        self._choose("secrets", self._choices("secrets"), 0)
        self._offer_code(user)
        self._tell_how_long()

    def _choices(self, name: str) -> Choices:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        found: Choices = list(field.choices)  # type: ignore[arg-type]
        return found

    def _choose(self, name: str, choices: Choices, least: int) -> None:
        """What the form begins with can be chosen too: actions refuse it, if it is no longer offered."""
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        begun = self.initial.get(name) or []
        offered = {str(value) for value, _ in flatten_choices(choices)}
        gone = [one for one in ([begun] if isinstance(begun, str) else begun) if one not in offered]
        field.choices = [*choices, *((one, f"{one}, no longer offered") for one in gone)]
        if len(field.choices) < least:
            del self.fields[name]

    def _offer_image(self, patterns: Sequence[str]) -> list[tuple[str, list[tuple[str, str]]]]:
        """The choice of one, and the field that names it, where some are allowed or one was asked for."""
        if not patterns and self.base.image is None:
            del self.fields["image"]
            return []
        self.fields["image"].help_text = f"With tag or digest; allowed is what fits {', '.join(patterns) or 'nothing'}."
        return [("Other", [(IMAGE, "An image, by its name")])]

    def _offer_priorities(self, user: User) -> None:
        """`high` to those who may; others who ask for it all the same are told why not."""
        if not (user.is_staff or leads(user).exists() or self.base.priority == Priority.HIGH):
            offered = [choice for choice in Priority.choices if choice[0] != Priority.HIGH]
            self.fields["priority"].widget = forms.Select(choices=offered)

    def _offer_code(self, user: User) -> None:
        if not self.base.code_of:
            return
        job = access.visible_to(user).filter(pk=self.base.code_of).first()
        kept = f"The code that {job.name if job else 'that job'} had, unchanged"
        choices = [(self.base.code_of, kept), ("", "What is named below")]
        self.fields["code_of"] = forms.ChoiceField(label="Code", required=False, choices=choices)

    def _tell_how_long(self) -> None:
        seconds = self.base.max_duration_seconds
        if seconds and seconds % MINUTE:
            self.fields["max_duration_minutes"].help_text = f"Now {words.duration(seconds)}, unless you change it."

    @property
    def git_url(self) -> BoundField:
        return self["git.url"]

    @property
    def git_ref(self) -> BoundField:
        return self["git.ref"]

    @property
    def model_name(self) -> BoundField:
        return self["model.name"]

    @property
    def model_path(self) -> BoundField:
        return self["model.path"]

    @property
    def more_is_wrong(self) -> bool:
        """Whether what is folded away has an error in it."""
        return self.is_bound and bool(BASIC & self.errors.keys())

    @property
    def details_are_wrong(self) -> bool:
        return self.is_bound and bool(DETAILS & self.errors.keys())

    def clean_env(self) -> dict[str, str]:
        return variables_of(self.cleaned_data["env"])

    def clean_parameters(self) -> dict[str, Any]:
        return parameters_of(self.cleaned_data["parameters"])

    def clean_retry_rules(self) -> list[dict[str, Any]]:
        return rules_of(self.cleaned_data["retry_rules"])

    def clean(self) -> None:
        """What nobody changed is not complained about."""
        for name in [name for name in self.errors if not self._changed(name)]:
            del self.errors[name]

    def _changed(self, name: str) -> bool:
        """Whether another value came back than the page showed."""
        if name == "size" and name not in self.data:  # the shown one is not to be had now, so no browser sends it
            return False
        field, shown = self.fields[name], self.initial.get(name)
        posted = field.widget.value_from_datadict(self.data, self.files, name)
        if isinstance(shown, list):
            return {*map(str, posted or [])} != {*map(str, shown)}
        lines = isinstance(field.widget, forms.Textarea)
        return sent(posted, lines=lines) != sent(shown, lines=lines)

    def refuse(self, problem: Invalid) -> None:
        """Put the sentences beside their fields; what no field shows stands above the form."""
        fields = problem.fields or {"": [problem.detail]}
        for name, sentences in fields.items():
            beside = BESIDE.get(name, name)
            beside = beside if beside in self.fields else beside.split(".")[0]
            self.add_error(beside if beside in self.fields else None, sentences)

    @property
    def asked(self) -> Submission:
        """What it began with, but for the fields that were changed; those with an error are left out."""
        self.is_valid()
        asked: dict[str, Any] = {}
        for name in self.fields:
            if name in SHOWN and name in self.cleaned_data and self._changed(name):
                asked |= self._asked(name, self.cleaned_data[name])
        return replace(self.base, **asked)

    def _asked(self, name: str, given: Any) -> dict[str, Any]:
        """Fields of a Submission. What is left empty is what it is by default."""
        match name:
            case "template":
                return self._environment(given)
            case "image":
                return {"image": given} if self._names_image else {}
            case "command":
                return {"command": script(given, self._shell)}
            case "models":
                return {"models": [one for one in map(str.strip, given.split(",")) if one]}
            case "project":
                return {"project": given}
            case "model.name":
                return {"keep_as": given}
            case "model.path":
                return {"keep_path": given}
            case "outputs":
                return {"outputs": given.split("\n")}
            case "max_duration_minutes":
                return {"max_duration_seconds": given * MINUTE if given else None}
        name = name.replace(".", "_")
        return {name: getattr(DEFAULT, name) if given in (None, "") else given}

    def _environment(self, chosen: str) -> dict[str, Any]:
        """The version of another environment says nothing of this one."""
        home = self.base.workspace if self.base.template or self.base.image else None
        other = {"version": None, "command": in_shell(self.base.command, self._shell)}
        if chosen == IMAGE:
            return other | {"template": None, "image": self.cleaned_data.get("image", ""), "workspace": home}
        template, _, workspace = chosen.partition(WORKSPACE)
        return other | {"template": template or None, "image": None, "workspace": workspace or home}

    @property
    def _names_image(self) -> bool:
        return bool(self["template"].value() == IMAGE)

    @property
    def _shell(self) -> Sequence[str]:
        return PLAIN_SHELL if self._names_image else SHELL


def _chosen(asked: Submission) -> str | None:
    if asked.image is not None:
        return IMAGE
    return asked.template or (f"{WORKSPACE}{asked.workspace}" if asked.workspace else None)


def initial_of(asked: Submission) -> dict[str, Any]:
    """The form's values that say the same as `asked`."""
    seconds = asked.max_duration_seconds
    return {
        "template": _chosen(asked),
        "image": asked.image,
        "command": written(asked.command) if asked.command else "",
        "folder": asked.folder,
        "size": asked.size,
        "name": asked.name,
        "team": asked.team,
        "project": asked.project,
        "parameters": parameters_text(asked.parameters),
        "env": text_of(asked.env),
        "inputs": list(asked.inputs),
        "models": ", ".join(asked.models),
        "outputs": as_lines(asked.outputs),
        "max_duration_minutes": -(-seconds // MINUTE) if seconds else None,
        "retries": asked.retries,
        "priority": asked.priority,
        "model.name": asked.keep_as,
        "model.path": asked.keep_path,
        "git.url": asked.git_url,
        "git.ref": asked.git_ref,
        "secrets": list(asked.secrets),
        "code_of": asked.code_of,
        "version": asked.version,
        "grace_seconds": asked.grace_seconds,
        "retry_delay_seconds": asked.retry_delay_seconds,
        "retry_rules": rules_text(asked.retry_rules),
        "after": list(asked.after),
        "after_condition": asked.after_condition,
    }


SHOWN = initial_of(DEFAULT).keys()
"""The fields that are about the job."""
