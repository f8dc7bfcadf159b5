"""Shapes of what account pages post."""

from django import forms

from portal.accounts.states import SCOPES

WORDS = {
    "workspaces": "workspaces",
    "jobs": "jobs",
    "usage": "usage and cost",
    "quota": "quota",
    "admin": "administration",
}
AVAILABLE = ("workspaces", "admin")


def scope_choices(staff: bool) -> list[tuple[str, str]]:
    shown = [scope for scope in SCOPES if scope.split(":")[0] in AVAILABLE and (staff or not scope.startswith("admin"))]
    return [(scope, f"{scope.split(':')[1].capitalize()} {WORDS[scope.split(':')[0]]}") for scope in shown]


class TokenForm(forms.Form):
    name = forms.CharField(label="Name", max_length=100, help_text="Where it is used, such as “laptop”.")
    scopes = forms.MultipleChoiceField(label="It may", widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(label="Good for days", initial=30, min_value=1, max_value=365)

    def __init__(self, *args: object, staff: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = scope_choices(staff)
