"""Sign-in, sign-out, and the pages of API tokens and SSH keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts import access, actions
from portal.accounts import keys as public_keys
from portal.accounts.forms import KeyForm, TokenForm
from portal.accounts.models import ApiToken, PublicKey, User
from portal.audit.actions import record
from portal.lib import clock
from portal.lib.errors import Invalid


class SignIn(LoginView):
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        record(form.get_user().get_username(), "session.sign_in", f"user-{form.get_user().pk}")
        return super().form_valid(form)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 422
        return response


def client_address(request: HttpRequest) -> str:
    """Who nginx says is there; it overwrites the header, and nobody else reaches this process."""
    return request.headers.get("X-Real-IP") or request.META.get("REMOTE_ADDR", "")


def locked_out(request: HttpRequest, credentials: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
    """Too many wrong tries from one address for one name."""
    locked = "Too many tries with this name. Wait 15 minutes and try again."
    context = {"form": AuthenticationForm(request), "next": request.POST.get("next", ""), "locked": locked}
    response = render(request, "registration/login.html", context, status=429)
    response["Retry-After"] = "900"
    return response


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    expired: bool


def _rows(user: User) -> list[TokenRow]:
    now = clock.now()
    return [
        TokenRow(t.pk, t.name, t.scopes, t.created_at, t.last_used_at, t.expires_at, t.expires_at <= now)
        for t in ApiToken.objects.filter(user=user, revoked_at=None)
    ]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    user = access.signed_in(request.user)
    form = TokenForm(request.POST or None, staff=user.is_staff)
    status, secret = 200, ""
    if request.method == "POST":
        secret = _create(user, form)
        status = 200 if secret else 422
        form = TokenForm(staff=user.is_staff) if secret else form
    context = {"tokens": _rows(user), "form": form, "new_token": secret}
    response = render(request, "tokens/list.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _create(user: User, form: TokenForm) -> str:
    """The new secret, or "" with the errors on the form."""
    if not form.is_valid():
        return ""
    data = form.cleaned_data
    try:
        return actions.create_token(user, data["name"], data["scopes"], data["days"], actor=user.username).secret
    except Invalid as problem:
        for field, sentences in problem.fields.items():
            form.add_error(field, sentences)
        return ""


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: str) -> HttpResponse:
    user = access.signed_in(request.user)
    token = access.token_of(user, token_id)
    actions.revoke_token(token, actor=user.username)
    messages.success(request, f"The token “{token.name}” opens nothing any more.")
    return redirect("tokens")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    user = access.signed_in(request.user)
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            key = public_keys.add(user, data["key"], data["name"], actor=user.username)
        except Invalid as problem:
            for field, sentences in problem.fields.items():
                form.add_error(field, sentences)
        else:
            messages.success(request, f"The key “{key.name}” opens your workspaces.")
            return redirect("keys")
    context = {"keys": PublicKey.objects.filter(user=user), "form": form}
    return render(request, "keys/list.html", context, status=422 if form.is_bound else 200)


@login_required
@require_POST
def delete_key(request: HttpRequest, key_id: str) -> HttpResponse:
    user = access.signed_in(request.user)
    key = public_keys.key_of(user, key_id)
    public_keys.delete(key, actor=user.username)
    messages.success(request, f"The key “{key.name}” opens nothing any more.")
    return redirect("keys")
