"""The form that keeps what a job left as a version of a model."""

from collections.abc import Sequence

from django import forms

from jobs import model_names, registry
from jobs.registry import Keeping
from portal.lib.errors import Problem


class KeepForm(forms.Form):
    """What it means is checked in the action."""

    path = forms.ChoiceField(label="What to keep", help_text="A file, or a folder with all in it.")
    name = forms.CharField(
        label="Model",
        max_length=model_names.LENGTH,
        widget=forms.TextInput(attrs={"list": "models", "placeholder": "churn-model", "autocomplete": "off"}),
        help_text="A new name, or that of a model of the team: then this is its next version.",
    )
    note = forms.CharField(
        label="Note", required=False, max_length=registry.NOTE_LENGTH, help_text="What is special about this version."
    )

    def __init__(self, *args: object, paths: Sequence[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["path"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(path, path) for path in paths]

    @property
    def asked(self) -> Keeping:
        data = self.cleaned_data
        return Keeping(data["name"], data["path"], data["note"])

    def refuse(self, problem: Problem) -> None:
        """What no field shows stands above the form."""
        for name, sentences in (problem.fields or {"": [problem.detail]}).items():
            self.add_error(name if name in self.fields else None, sentences)
