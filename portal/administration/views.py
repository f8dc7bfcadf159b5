"""Pages for administrators: the audit record, and the health of every part."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.accounts.access import signed_in
from portal.administration import health as parts
from portal.administration import pages
from portal.administration.forms import AuditForm
from portal.audit.models import AuditEvent
from portal.lib.errors import Forbidden

SHOWN = 50


@login_required
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """The query may hold `actor`, `verb`, `target`, `since`, `until`, and `before` for older ones."""
    _for_administrators(request, "Only administrators read the audit record.")
    form = AuditForm(request.GET)
    found: list[AuditEvent] = []
    wanted = {}
    if form.is_valid():
        found = list(pages.matching(form.cleaned_data)[: SHOWN + 1])
        wanted = {name: value for name, value in form.cleaned_data.items() if value and name != "before"}
    context = {
        "form": form,
        "rows": pages.rows(found[:SHOWN]),
        "older": urlencode(wanted | {"before": found[SHOWN - 1].pk}) if len(found) > SHOWN else "",
        "newest": urlencode(wanted),
        "searched": bool(wanted) or not form.is_valid(),
    }
    return render(request, "administration/audit.html", context, status=200 if form.is_valid() else 422)


@login_required
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    _for_administrators(request, "Only administrators see how every part is doing.")
    shown = parts.groups()
    return render(request, "administration/health.html", {"groups": shown, "troubles": parts.troubles(shown)})


def _for_administrators(request: HttpRequest, otherwise: str) -> None:
    if not signed_in(request.user).is_staff:
        raise Forbidden(otherwise)
