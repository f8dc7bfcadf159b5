"""Form fields of parameters: what a browser sends, read as the JSON value the schema speaks of."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from environments.schema import Parameter

FEW = 4
"""As many choices are buttons; more are a list."""


class Switch(forms.CheckboxInput):
    """A checkbox that also says when it is not checked, so that one that was not on the page is told apart."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        values = data.getlist(name) if hasattr(data, "getlist") else [data[name]] if name in data else []
        return values[-1] in ("true", "on", True) if values else None

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return name not in data

    def format_value(self, value: Any) -> str:
        return "true"

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        checkbox = super().render(name, value, attrs, renderer)
        return format_html('<input type="hidden" name="{}" value="false">{}', name, checkbox)


class SwitchField(forms.Field):
    """True or False; None where nothing was sent."""

    widget = Switch

    def to_python(self, value: Any) -> bool | None:
        return None if value is None else bool(value)


class Choice(forms.TypedChoiceField):
    """One of JSON values, which a browser only knows as text."""

    def __init__(self, parameter: Parameter, **kwargs: Any) -> None:
        self.values = {str(choice): choice for choice in parameter.choices}
        options = [(text, text) for text in self.values]
        if parameter.default is None and not parameter.required:
            options = [("", "—"), *options]
        widget = forms.RadioSelect if len(options) <= FEW else forms.Select
        wrong = {"invalid_choice": f"Choose one of: {', '.join(self.values)}."}
        kwargs |= {"choices": options, "coerce": self.values.__getitem__, "empty_value": None}
        super().__init__(widget=widget, error_messages=wrong, **kwargs)


def field_of(parameter: Parameter) -> forms.Field:
    """What it may hold is checked in the action; bounds here only help the browser."""
    common: dict[str, Any] = {
        "label": parameter.label,
        "help_text": _help(parameter),
        "initial": parameter.default,
        "required": False,
    }
    match parameter.kind:
        case "choice":
            return Choice(parameter, **common)
        case "switch":
            return SwitchField(**common)
        case "integer":
            whole = {"invalid": "Must be a whole number."}
            return forms.IntegerField(widget=_number(parameter, "1"), error_messages=whole, **common)
        case "number":
            return forms.FloatField(
                widget=_number(parameter, "any"), error_messages={"invalid": "Must be a number."}, **common
            )
        case "lines":
            rows = forms.Textarea(attrs={"rows": 4, "maxlength": parameter.longest})
            return _Text(parameter, widget=rows, **common)
        case _:
            return _Text(parameter, widget=forms.TextInput(attrs={"maxlength": parameter.longest}), **common)


class _Text(forms.CharField):
    """Emptied text counts only where it undoes a default; else nothing was said."""

    def __init__(self, parameter: Parameter, **kwargs: Any) -> None:
        super().__init__(strip=False, empty_value="" if parameter.default else None, **kwargs)

    def to_python(self, value: Any) -> str | None:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if text else text


def _number(parameter: Parameter, step: str) -> forms.NumberInput:
    bounds = {"min": parameter.minimum, "max": parameter.maximum, "step": step}
    return forms.NumberInput(attrs={name: value for name, value in bounds.items() if value is not None})


def _help(parameter: Parameter) -> str:
    """The description, and the bounds in words."""
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        bounds = f"From {low} to {high}."
    else:
        bounds = f"At least {low}." if low is not None else f"At most {high}." if high is not None else ""
    needed = "Needed." if parameter.required and parameter.default is None else ""
    return " ".join(filter(None, [parameter.help, bounds, needed]))
