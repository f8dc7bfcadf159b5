"""`/healthz` and `/readyz`: liveness, and readiness with each dependency named."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from portal.compute.ticking import silent
from portal.live import redis


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when pages can be served (the database answers); the rest is named, so that one sees what is slow."""
    database = _database()
    parts = {"database": database, "redis": redis.ping()}
    if database:
        parts |= {"worker": not silent("worker"), "agent": not silent("agent")}
    state = {name: "ok" if fine else "not answering" for name, fine in parts.items()}
    return JsonResponse(state, status=200 if database else 503)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
