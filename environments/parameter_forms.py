"""The part of a form that asks for a template's parameters: its fields, their values, and what was wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField

from environments.parameter_fields import field_of
from environments.schema import Parameter, Schema, parameters_of
from portal.lib.errors import Problem

PARAMETER = "parameters."


@dataclass(frozen=True, slots=True)
class Section:
    """Parameters that belong together; those without a section of their own come first, without a title."""

    title: str
    fields: list[BoundField]


def initial_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The form's values that say the same as these parameters."""
    return {f"{PARAMETER}{name}": value for name, value in values.items()}


class ParametersForm(forms.Form):
    """`add_parameters` puts the fields where its caller wants them."""

    parameters: list[Parameter]

    def add_parameters(self, schema: Schema) -> None:
        self.parameters = parameters_of(schema)
        for parameter in self.parameters:
            self.fields[f"{PARAMETER}{parameter.name}"] = field_of(parameter)

    @property
    def sections(self) -> list[Section]:
        titles = dict.fromkeys(sorted((one.section for one in self.parameters), key=bool))
        return [Section(title, [self._bound(p) for p in self.parameters if p.section == title]) for title in titles]

    def _bound(self, parameter: Parameter) -> BoundField:
        return self[f"{PARAMETER}{parameter.name}"]

    @property
    def values(self) -> dict[str, Any]:
        """Of those that the page had, and that are neither empty nor wrong."""
        data = self.cleaned_data
        found = {one.name: data.get(f"{PARAMETER}{one.name}") for one in self.parameters if self._was_sent(one)}
        return {name: value for name, value in found.items() if value is not None}

    def _was_sent(self, parameter: Parameter) -> bool:
        name = f"{PARAMETER}{parameter.name}"
        widget = self.fields[name].widget
        return not widget.value_omitted_from_data(self.data, self.files, self.add_prefix(name))


def put_errors(form: forms.Form, problem: Problem, names: Mapping[str, str] | None = None) -> None:
    """Sentences of a refused action beside the fields they are about; a field inside another counts as that one.

    `names` says which field of the form an action's field is, where they are not called the same.
    """
    for name, sentences in (problem.fields or {"": [problem.detail]}).items():
        wanted = (name, (names or {}).get(name, name.split(".")[0]))
        form.add_error(next((one for one in wanted if one in form.fields), None), sentences)
