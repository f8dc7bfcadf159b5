"""Pages of notices: the list, the bell in the header, marking as read, and what comes by mail too."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from portal.accounts.access import signed_in
from portal.notices import access, actions
from portal.notices.forms import MailForm
from portal.notices.models import Delivery
from portal.notices.states import Channel, DeliveryState

PAGE_SIZE = 25


@login_required
@require_safe
def notices(request: HttpRequest) -> HttpResponse:
    user = signed_in(request.user)
    unsent = Delivery.objects.filter(notice=OuterRef("pk"), channel=Channel.MAIL, state=DeliveryState.FAILED)
    rows = access.notices_of(user).annotate(mail_failed=Exists(unsent))
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    choice = access.mail_choice(user)
    form = MailForm(initial={"kinds": choice.kinds, "daily": choice.daily})
    context = {"notices": page.object_list, "page": page, "form": form, "address": user.email}
    return render(request, "notices/list.html", context)


@login_required
@require_safe
def bell(request: HttpRequest) -> HttpResponse:
    return render(request, "components/bell.html")


@login_required
@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Those named in `id`, or all."""
    actions.mark_read(signed_in(request.user), request.POST.getlist("id") or None)
    return redirect("notices")


@login_required
@require_POST
def choose_mail(request: HttpRequest) -> HttpResponse:
    user, form = signed_in(request.user), MailForm(request.POST)
    if form.is_valid():
        actions.choose_mail(user, **form.cleaned_data, actor=user.username)
        messages.success(request, "Saved. It counts for what happens from now on.")
    else:
        messages.error(request, "Choose of what is in the list.")
    return redirect("notices")
