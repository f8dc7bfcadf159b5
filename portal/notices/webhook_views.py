"""Pages of webhooks: the list with what was sent lately, adding, switching, testing, deleting."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib.errors import Conflict, Invalid
from portal.notices import access
from portal.notices import webhook_actions as actions
from portal.notices.forms import WebhookForm


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    form = WebhookForm(request.POST or None)
    status, secret = 200, ""
    if request.method == "POST":
        secret = _added(user, form)
        status = 200 if secret else 422
        form = WebhookForm() if secret else form
    context = {"webhooks": access.webhooks_of(user), "form": form, "new_secret": secret, "topic": access.topic(user.pk)}
    response = render(request, "webhooks/list.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _added(user: User, form: WebhookForm) -> str:
    """The new secret, or "" with the errors on the form."""
    if not form.is_valid():
        return ""
    data = form.cleaned_data
    try:
        return actions.add(user, data["url"], data["kinds"], actor=user.username).secret
    except Invalid as problem:
        for field, sentences in problem.fields.items():
            form.add_error(field, sentences)
        return ""


@login_required
@require_POST
def switch(request: HttpRequest, webhook_id: str) -> HttpResponse:
    user = signed_in(request.user)
    webhook = access.webhook_for(user, webhook_id)
    actions.switch(webhook, request.POST.get("enabled") == "yes", actor=user.username)
    return redirect("webhooks")


@login_required
@require_POST
def test(request: HttpRequest, webhook_id: str) -> HttpResponse:
    user = signed_in(request.user)
    webhook = access.webhook_for(user, webhook_id)
    try:
        actions.send_test(webhook, actor=user.username)
        messages.success(request, f"A test is on its way to {webhook.host}. How it went is shown below.")
    except Conflict as problem:
        messages.error(request, problem.detail)
    return redirect("webhooks")


@login_required
@require_POST
def delete(request: HttpRequest, webhook_id: str) -> HttpResponse:
    user = signed_in(request.user)
    webhook = access.webhook_for(user, webhook_id)
    actions.delete(webhook, actor=user.username)
    messages.success(request, f"Nothing is sent to {webhook.host} any more.")
    return redirect("webhooks")
