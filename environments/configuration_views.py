"""The page of a saved configuration: what is in it, another name, and deletion."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from environments import access, configurations, launch_page
from environments.forms import RenameForm
from portal.accounts.access import signed_in
from portal.lib.errors import Invalid
from portal.lib.refusals import sentence_of


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, configuration_id: str) -> HttpResponse:
    """POST renames it."""
    user = signed_in(request.user)
    configuration = access.configuration_for(user, configuration_id)
    form, status = RenameForm(request.POST or None, initial={"name": configuration.name}), 200
    if request.method == "POST":
        try:
            if form.is_valid():
                configurations.rename(configuration, form.cleaned_data["name"], actor=user.username)
                return redirect("configuration", configuration.pk)
        except Invalid as problem:
            form.add_error("name", sentence_of(problem))
        status = 422
    context = {
        "saved": launch_page.saved_card(configuration, {}),
        "rows": launch_page.rows(configurations.launch_of(configuration)),
        "form": form,
    }
    return render(request, "workspaces/configuration.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, configuration_id: str) -> HttpResponse:
    """GET asks, POST does."""
    user = signed_in(request.user)
    configuration = access.configuration_for(user, configuration_id)
    if request.method == "POST":
        configurations.delete(configuration, actor=user.username)
        messages.success(request, f"The configuration “{configuration.name}” is deleted.")
        return redirect("workspace-new")
    question = {
        "title": f"Delete {configuration.name}?",
        "sentence": "It can no longer be launched with one click.",
        "losses": ["The settings in it"],
        "keeps": ["Workspaces that were launched from it", "All files"],
        "action_url": request.path,
        "action_label": "Delete configuration",
        "cancel_url": f"/configurations/{configuration.pk}/",
    }
    return render(request, "confirm.html", question)
