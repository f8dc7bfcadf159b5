"""`/live/`: the names of what changed on the page that is open."""

from collections.abc import AsyncIterator

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from portal.live import redis, stream, topics


@require_safe
async def names(request: HttpRequest) -> HttpResponseBase:
    """Stream the topics in `?topics=` (signed by the page's view) as events of that name."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse("Sign in first.", status=401)
    try:
        wanted = frozenset(topics.read(str(user.pk), request.GET.get("topics", "")))
    except BadSignature:
        return HttpResponseForbidden("These topics are not yours; reload the page.")

    async def changes() -> AsyncIterator[bytes | None]:
        async for name in redis.names():
            yield stream.event(name) if name in wanted else None

    return stream.respond(changes)
