"""Page of the GPU board, and closing a node."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from portal.accounts.access import signed_in
from portal.compute import board, node_actions
from portal.lib.errors import Forbidden

SHOWN = ("all", "mine", "free")


@login_required
@require_safe
def gpu_board(request: HttpRequest) -> HttpResponse:
    """`?show=mine` only what the viewer's teams hold, `?show=free` only what nobody holds."""
    user = signed_in(request.user)
    cards = board.nodes(user)
    show = request.GET.get("show", "all")
    context = {
        "summary": board.summary(cards),
        "simulated": any(device.simulated for card in cards for device in card.devices),
        "nodes": _chosen(cards, show),
        "show": show if show in SHOWN else "all",
        "waiting": board.waiting(user),
        "most": board.QUEUE_SHOWN,
        "live_topics": ["allocations", "nodes"],
    }
    return render(request, "compute/board.html", context)


def _chosen(cards: list[board.NodeCard], show: str) -> list[board.NodeCard]:
    for card in cards:
        if show == "mine":
            card.devices = [device for device in card.devices if device.holder and device.holder.mine]
        elif show == "free":
            card.devices = [device for device in card.devices if device.state == "free"]
    return [card for card in cards if card.devices]


@login_required
@require_POST
def cordon(request: HttpRequest, node_id: str) -> HttpResponse:
    """`closed`: yes or no."""
    user = signed_in(request.user)
    if not user.is_staff:
        raise Forbidden("Only administrators close nodes.")
    node = node_actions.node_for(node_id)
    if request.POST.get("closed") == "yes":
        node_actions.cordon(node, request.POST.get("because", "")[:200].strip(), actor=user.username)
        messages.success(request, f"{node.name} takes nothing new; what runs on it goes on.")
    else:
        node_actions.uncordon(node, actor=user.username)
        messages.success(request, f"{node.name} is open again.")
    return redirect("node", node.pk)
