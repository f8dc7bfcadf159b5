"""The page on which a workspace is moved to a newer version of its template."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from environments import access, actions, versions
from environments.access import Right
from environments.models import Workspace
from environments.parameter_forms import ParametersForm, initial_of, put_errors
from environments.versions import Update
from portal.accounts.access import signed_in
from portal.lib.errors import Problem


class UpdateForm(ParametersForm):
    """The version that was shown, and its parameters where it has some."""

    version = forms.CharField(required=False, max_length=40)

    def __init__(self, data: QueryDict | None = None, *, workspace: Workspace, found: Update) -> None:
        super().__init__(data, initial=initial_of(workspace.parameters))
        self.newest = found.version
        self.add_parameters(found.schema)

    def clean(self) -> None:
        if self.cleaned_data.get("version") != self.newest:
            raise forms.ValidationError(f"Version {self.newest} came out meanwhile. Above is what it changes.")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def update(request: HttpRequest, workspace_id: str) -> HttpResponse:
    """GET shows what changes, POST does it."""
    user = signed_in(request.user)
    workspace = access.workspace_for(user, workspace_id, Right.OWN)
    found = versions.update_for(workspace)
    if found is None:
        messages.info(request, f"{workspace.name} has the newest version already.")
        return redirect("workspace", workspace.pk)
    if request.method != "POST":
        return _page(request, workspace, found, UpdateForm(workspace=workspace, found=found))
    form = UpdateForm(request.POST, workspace=workspace, found=found)
    if form.is_valid() and _done(workspace, form, actor=user.username):
        messages.success(request, f"{workspace.name} has version {found.version} from its next start on.")
        return redirect("workspace", workspace.pk)
    return _page(request, workspace, found, form, status=422)


def _done(workspace: Workspace, form: UpdateForm, *, actor: str) -> bool:
    try:
        actions.update_version(workspace, form.newest, form.values, actor=actor)
    except Problem as problem:
        put_errors(form, problem)
    return not form.errors


def _page(
    request: HttpRequest, workspace: Workspace, found: Update, form: UpdateForm, status: int = 200
) -> HttpResponse:
    allocation = workspace.allocation
    context = {
        "workspace": workspace,
        "update": found,
        "form": form,
        "must_stop": allocation is not None and allocation.open,
        "live_topics": [workspace.topic],
    }
    return render(request, "workspaces/update.html", context, status=status)
