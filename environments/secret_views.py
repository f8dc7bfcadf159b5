"""Pages of secrets: list and add, replace, delete, and which of them a workspace gets."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from environments import access, secret_access
from environments.access import Right
from environments.actions import choose_secrets
from environments.secret_forms import SSH_KEY, VARIABLE, ReplaceForm, SecretForm, SecretsField
from portal.accounts import secret_actions
from portal.accounts.access import leads, secret_for, secrets_by_name, signed_in
from portal.accounts.models import Secret, SecretKind, User
from portal.accounts.secret_actions import NewSecret
from portal.lib import refusals
from portal.lib.errors import Invalid


@sensitive_post_parameters("value")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def secrets(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    form = SecretForm(request.POST or None, led=leads(user))
    if request.method == "POST" and form.is_valid() and _added(request, form):
        return redirect("secrets")
    rows = secret_access.seen(user, secret_access.with_use(user))
    status = 422 if request.method == "POST" else 200
    return render(request, "secrets/list.html", {"secrets": rows, "form": form}, status=status)


def _added(request: HttpRequest, form: SecretForm) -> bool:
    user, data = signed_in(request.user), form.cleaned_data
    new = NewSecret(
        name=data["name"],
        value=data["value"],
        kind=SecretKind.SSH_KEY if data["kind"] == SSH_KEY else SecretKind.VALUE,
        team=data.get("team") or None,
        variable=data["kind"] == VARIABLE,
    )
    try:
        secret_actions.add(user, new, actor=user.username)
    except Invalid as problem:
        refusals.show(form, problem)
        return False
    messages.success(request, f"{new.name} is kept. Choose it when you launch a workspace.")
    return True


@sensitive_post_parameters("value")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def replace(request: HttpRequest, secret_id: str) -> HttpResponse:
    user = signed_in(request.user)
    secret = secret_for(user, secret_id)
    form = ReplaceForm(request.POST or None, secret=secret)
    if request.method == "POST" and form.is_valid() and _replaced(request, secret, form):
        return redirect("secrets")
    status = 422 if request.method == "POST" else 200
    return render(request, "secrets/replace.html", {"secret": secret, "form": form}, status=status)


def _replaced(request: HttpRequest, secret: Secret, form: ReplaceForm) -> bool:
    user, data = signed_in(request.user), form.cleaned_data
    variable = data["kind"] == VARIABLE if "kind" in data else None
    try:
        secret_actions.replace(secret, value=data["value"] or None, variable=variable, actor=user.username)
    except Invalid as problem:
        refusals.show(form, problem)
        return False
    messages.success(request, f"{secret.name} is changed. Workspaces get it at their next start.")
    return True


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, secret_id: str) -> HttpResponse:
    """GET asks, POST does."""
    user = signed_in(request.user)
    secret = secret_for(user, secret_id)
    if request.method != "POST":
        return render(request, "confirm.html", _delete_question(user, secret))
    secret_actions.delete(secret, actor=user.username)
    messages.success(request, f"{secret.name} is deleted.")
    return redirect("secrets")


def _delete_question(user: User, secret: Secret) -> dict[str, Any]:
    [seen] = secret_access.seen(user, secret_access.with_use(user).filter(pk=secret.pk))
    names = [workspace.name for workspace in seen.used_by]
    return {
        "title": f"Delete {secret.name}?",
        "sentence": "Nobody can bring its value back. Revoke it where it was made, if it should open nothing any more.",
        "losses": ["Its value", *(f"{name} starts without it from now on" for name in names)],
        "keeps": ["What runs now keeps what it was given, until it stops"],
        "action_url": f"/secrets/{secret.pk}/delete/",
        "action_label": "Delete secret",
        "choices": [],
        "fields": [],
        "cancel_url": "/secrets/",
    }


class ChooseForm(forms.Form):
    def __init__(self, *args: Any, field: SecretsField, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secrets"] = field


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """Which secrets a workspace gets from its next start on; only its owner chooses."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.OWN)
    chosen = list(workspace.secrets.values_list("name", flat=True))
    field = SecretsField(user, secrets_by_name(workspace.owner, workspace.team).values())
    form = ChooseForm(request.POST or None, field=field, initial={"secrets": chosen})
    if request.method == "POST":
        form = ChooseForm(request.POST, field=field)
        try:
            choose_secrets(workspace, request.POST.getlist("secrets"), actor=user.username)
            messages.success(request, f"{workspace.name} gets these secrets at its next start.")
            return redirect("workspace", workspace.pk)
        except Invalid as problem:
            form.full_clean()
            refusals.show(form, problem)
    context = {"workspace": workspace, "form": form, "empty": not field.choices}
    return render(request, "secrets/choose.html", context, status=422 if request.method == "POST" else 200)
