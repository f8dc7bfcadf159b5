"""What an action refused: beside the fields of the form that asked for it, or as a sentence."""

from collections.abc import Mapping

from django import forms

from portal.lib.errors import Invalid, Problem


def show(form: forms.Form, problem: Invalid, names: Mapping[str, str] | None = None) -> None:
    """Each sentence at its field, or above the form without one. `names`: fields that the form calls otherwise."""
    for field, sentences in (problem.fields or {"": [problem.detail]}).items():
        name = (names or {}).get(field, field)
        form.add_error(name if name in form.fields else None, sentences)


def sentence_of(problem: Problem) -> str:
    """Of all fields, for a message above the page."""
    return " ".join(sentence for sentences in problem.fields.values() for sentence in sentences) or problem.detail
