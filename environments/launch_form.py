"""The form of a launch: fields called as the API calls them, made into a Launch and from one."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.forms import BoundField

from environments import access, parameter_forms, repositories
from environments.forms import auto_stop_field, bounds
from environments.idle import template_rule
from environments.launch import Launch
from environments.models import Template, TemplateVersion
from environments.parameter_forms import ParametersForm
from environments.secret_forms import SecretsField
from environments.variables import text_of, variables_of
from portal.accounts.access import secrets_seen_by
from portal.accounts.models import Team, User
from portal.usage.project_field import project_field

LONGEST = 10_000


class LaunchForm(ParametersForm):
    """What it holds is only read here; what it means is checked in the actions."""

    version = forms.ChoiceField(label="Version", required=False)
    size = forms.CharField(required=False, max_length=LONGEST, widget=forms.HiddenInput)
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=LONGEST,
        help_text="Left empty, Berth finds one. You can change it later.",
    )
    team = forms.ChoiceField(label="Charged to", required=False)
    env = forms.CharField(
        label="Environment variables",
        required=False,
        strip=False,
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "LOG_LEVEL=debug"}),
        help_text="One on each line, as NAME=value. Not for passwords, which can be read here: keep those as secrets.",
    )

    volumes = forms.MultipleChoiceField(label="Datasets", required=False, widget=forms.CheckboxSelectMultiple)
    configuration = forms.CharField(
        label="Name of the configuration",
        required=False,
        max_length=LONGEST,
        help_text="All settings of this page are kept. A configuration of the same name is replaced.",
    )

    def __init__(
        self, *args: Any, template: Template, version: TemplateVersion, teams: Sequence[Team], user: User, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.template = template
        self.fields["secrets"] = SecretsField(user, secrets_seen_by(user))
        self.fields["git.url"] = forms.CharField(
            label="Git repository",
            required=False,
            max_length=LONGEST,
            widget=forms.TextInput(attrs={"placeholder": "https://git.example.org/team/project.git"}),
        )
        self.fields["project"] = project_field(teams)
        self.fields["auto_stop_minutes"] = auto_stop_field()
        self.fields["auto_stop_minutes"].help_text = bounds(template_rule(template))
        self.fields["git.ref"] = forms.CharField(label="Branch, tag or commit", required=False, max_length=LONGEST)
        self.add_parameters(version.parameters)
        versions = list(template.versions.all())
        self._choose("version", [(one.version, _version_label(one, one is versions[0])) for one in versions])
        self._choose("team", [(team.slug, team.name) for team in teams])
        self._offer("volumes", [(one.name, f"{one.name}: {one.summary}") for one in access.datasets_for(user)])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        known = {value for value, _ in choices}
        begun = [(one, one) for one in self.initial.get(name) or [] if one not in known]
        field.choices = [*choices, *begun]
        if not field.choices:
            del self.fields[name]

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        """A choice of one is none."""
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices
        if len(choices) < 2:
            del self.fields[name]

    @property
    def git_url(self) -> BoundField:
        return self["git.url"]

    @property
    def git_ref(self) -> BoundField:
        return self["git.ref"]

    @property
    def more_is_wrong(self) -> bool:
        """Whether what is folded away has an error in it."""
        folded = {"name", "project", "auto_stop_minutes", "team", "env"}
        return self.is_bound and bool(folded & self.errors.keys())

    @property
    def clone_folder(self) -> str:
        address = str(self["git.url"].value() or "")
        return repositories.folder(address[: repositories.URL_LENGTH])

    def clean_env(self) -> dict[str, str]:
        return variables_of(self.cleaned_data["env"])

    def clean_name(self) -> str:
        return str(self.cleaned_data["name"]).strip()

    def mark(self, names: Iterable[str], words: str) -> None:
        """Say at each of these fields where its value came from."""
        for name in names:
            if name in self.fields:
                self.fields[name].help_text = f"{self.fields[name].help_text} {words}".strip()

    @property
    def asked(self) -> Launch:
        """What its fields ask for; those with an error are left out."""
        self.is_valid()
        data = self.cleaned_data
        return Launch(
            template=self.template.slug,
            version=data.get("version") or None,
            size=data.get("size") or None,
            team=data.get("team") or None,
            project=data.get("project", ""),
            name=data.get("name", ""),
            parameters=self.values,
            env=data.get("env", {}),
            git_url=data.get("git.url", ""),
            git_ref=data.get("git.ref", ""),
            volumes=data.get("volumes", []),
            secrets=data.get("secrets", []),
            auto_stop_minutes=data.get("auto_stop_minutes"),
        )


def initial_of(launch: Launch) -> dict[str, Any]:
    """The form's values that say the same as `launch`."""
    return {
        "version": launch.version,
        "size": launch.size,
        "team": launch.team,
        "project": launch.project,
        "name": launch.name,
        "env": text_of(launch.env),
        "git.url": launch.git_url,
        "git.ref": launch.git_ref,
        "volumes": list(launch.volumes),
        "secrets": list(launch.secrets),
        "auto_stop_minutes": launch.auto_stop_minutes,
        **parameter_forms.initial_of(launch.parameters),
    }


def _version_label(version: TemplateVersion, newest: bool) -> str:
    return " · ".join(filter(None, [version.version, version.summary, "newest" if newest else "older"]))
