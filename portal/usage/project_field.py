"""The field of forms that asks for a project, and offers those that these teams have."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.accounts.models import Team
from portal.usage import projects

LONGEST = 10_000


class _Suggesting(forms.TextInput):
    """Text that may be one of `known`, or another."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__({"placeholder": projects.EXAMPLE, "spellcheck": "false", "autocapitalize": "none"})
        self.known = known

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        if not self.known:
            return super().render(name, value, attrs, renderer)
        known = f"{(attrs or {}).get('id', name)}_known"
        box = super().render(name, value, {**(attrs or {}), "list": known}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((one,) for one in self.known))
        return format_html('{}<datalist id="{}">{}</datalist>', box, known, options)


def project_field(teams: Iterable[Team]) -> forms.CharField:
    """What it means is checked by `projects.checked`. One query."""
    known = projects.recent([team.slug for team in teams])
    return forms.CharField(
        label="Project",
        required=False,
        max_length=LONGEST,
        widget=_Suggesting(known),
        help_text="What the cost is for. Usage can be looked at by project.",
    )
