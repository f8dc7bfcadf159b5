"""What an action refused, beside the fields of the form that asked for it."""

from collections.abc import Mapping

from django import forms

from portal.lib.errors import Invalid


def show(form: forms.Form, problem: Invalid, names: Mapping[str, str] | None = None) -> None:
    """Each sentence at its field, or above the form without one. `names`: fields that the form calls otherwise."""
    for field, sentences in (problem.fields or {"": [problem.detail]}).items():
        name = (names or {}).get(field, field)
        form.add_error(name if name in form.fields else None, sentences)
