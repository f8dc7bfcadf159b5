"""Pages of the catalog for administrators: what is published, and its files to edit, compare and apply."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from environments import access, catalog, catalog_editing, catalog_pages
from environments.catalog import Change
from environments.catalog_files import Catalog, CatalogError
from environments.catalog_published import as_text, published
from portal.accounts.access import signed_in
from portal.lib.errors import Conflict, Forbidden

LONGEST = 200_000
View = Callable[..., HttpResponse]


def _for_administrators(view: View) -> View:
    @login_required
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not signed_in(request.user).is_staff:
            raise Forbidden("Only administrators look after the catalog.")
        return view(request, *args, **kwargs)

    return checked


class TextForm(forms.Form):
    """The YAML, and the digest of the difference that was shown for it."""

    text = forms.CharField(
        label="YAML",
        max_length=LONGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 26, "spellcheck": "false", "wrap": "off"}),
        help_text="As in a file of the catalog. A published version never changes: add another one below it.",
    )
    agreed = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Preview:
    """What applying would do: the changes that the command prints too, and the lines of text before and after."""

    changes: list[Change]
    lines: list[str]
    notes: list[str]
    digest: str


def _preview(wanted: Catalog) -> Preview:
    found = catalog.difference(wanted)
    catalog.refuse_edited(found.changes)
    before, after = as_text(found.before).splitlines(), as_text(wanted).splitlines()
    lines = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    return Preview(found.changes, lines, catalog.notes(wanted), found.digest)


@_for_administrators
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "catalog/list.html", catalog_pages.overview())


@_for_administrators
@require_safe
def template(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "catalog/template.html", catalog_pages.template(slug))


@_for_administrators
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, file: str = "", slug: str = "") -> HttpResponse:
    """GET gives a file's text; POST shows what it would change, and with `apply` publishes it."""
    file = file or catalog_editing.file_of(slug)
    text = catalog_editing.text_of(file)
    if request.method != "POST":
        return _page(request, file, TextForm(initial={"text": text}))
    form = TextForm(request.POST)
    if form.is_valid():
        try:
            return _answer(request, file, **form.cleaned_data)
        except CatalogError as error:
            for problem in error.problems:
                form.add_error(None, problem)
            form.add_error("text", "Nothing is published until what is named above is mended.")
    return _page(request, file, form, status=422)


def _answer(request: HttpRequest, file: str, text: str, agreed: str) -> HttpResponse:
    """Raises CatalogError, naming lines of the text."""
    wanted = catalog_editing.with_text(file, text)
    if "apply" not in request.POST:
        return _page(request, file, *_shown(text, wanted))
    try:
        return _apply(request, wanted, agreed)
    except Conflict as error:
        form, preview = _shown(text, catalog_editing.with_text(file, text))
        form.add_error(None, error.detail)
        return _page(request, file, form, preview, status=422)


def _apply(request: HttpRequest, wanted: Catalog, agreed: str) -> HttpResponse:
    done = catalog.apply(wanted, actor=signed_in(request.user).username, agreed=agreed)
    said = f"Published: {'; '.join(map(str, done))}." if done else "All of it is published already."
    messages.success(request, said)
    return redirect("catalog")


def _shown(text: str, wanted: Catalog) -> tuple[TextForm, Preview]:
    """What applying it would do, and a form that agrees to that."""
    preview = _preview(wanted)
    return TextForm({"text": text, "agreed": preview.digest}), preview


def _page(
    request: HttpRequest, file: str, form: TextForm, preview: Preview | None = None, status: int = 200
) -> HttpResponse:
    slug = "" if file in catalog_editing.TITLES else file.removeprefix("templates/").removesuffix(".yaml")
    context = {
        "title": catalog_editing.TITLES.get(file) or f"Edit {slug}",
        "slug": slug,
        "form": form,
        "preview": preview,
    }
    return render(request, "catalog/edit.html", context, status=status)


@_for_administrators
@require_http_methods(["GET", "HEAD", "POST"])
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """GET asks, POST takes the template off the catalog; what uses it stays."""
    name = access.any_template(slug).name
    if request.method != "POST":
        return render(request, "confirm.html", _question(slug, name))
    catalog.apply(catalog_editing.without(slug), actor=signed_in(request.user).username)
    messages.success(request, f"{name} is retired. To offer it again, edit it and apply.")
    return redirect("catalog")


def _question(slug: str, name: str) -> dict[str, Any]:
    return {
        "title": f"Retire {name}?",
        "sentence": "Nobody can launch it any more.",
        "losses": [],
        "keeps": ["Workspaces made from it: they run on, stop, and start again", "Its versions, to be offered again"],
        "action_url": reverse("catalog-retire", args=[slug]),
        "action_label": "Retire template",
        "choices": [],
        "fields": [],
        "cancel_url": reverse("catalog-template", args=[slug]),
    }


@_for_administrators
@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """All that is published, as one document for `manage.py catalog apply -`."""
    response = HttpResponse(as_text(published()), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="catalog.yaml"'
    return response
