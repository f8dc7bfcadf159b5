"""`Idempotency-Key`: a request with the same key has one effect and one answer, kept for a day."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from portal.accounts.access import signed_in
from portal.api.models import IdempotencyKey
from portal.lib import clock
from portal.lib.crypto import derive
from portal.lib.errors import Invalid

HEADER = "Idempotency-Key"
LONGEST = 200
KEPT = timedelta(hours=24)

Handler = Callable[..., Response]


def idempotent(viewset: type[GenericViewSet[Any]], method: str = "create") -> type[GenericViewSet[Any]]:
    """The viewset with `method` guarded. What fails is not kept, so that it can be tried again."""
    return type(viewset.__name__, (viewset,), {method: _guarded(getattr(viewset, method)), "__doc__": viewset.__doc__})


def _guarded(handler: Handler) -> Handler:
    @wraps(handler)
    def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        with transaction.atomic():
            row = _row(request, _checked(key))
            if (kept := _earlier(row)) is not None:
                return _again(kept, row)
            response = handler(view, request, *args, **kwargs)
            row.status = response.status_code
            row.response = json.loads(JSONRenderer().render(response.data))
            row.save(update_fields=["status", "response"])
        return response

    return answer


def _checked(key: str) -> str:
    if not 1 <= len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        raise Invalid.field(HEADER, f"Use 1 to {LONGEST} printable ASCII characters.")
    return key


def _row(request: Request, key: str) -> IdempotencyKey:
    content = json.dumps(request.data, sort_keys=True)
    return IdempotencyKey(
        user=signed_in(request.user),
        key=key,
        request=f"{request.method} {request.path}"[:300],
        # Keyed, because a plain digest would let who reads the table guess what was in the body.
        body_hash=derive(settings.SECRET_KEY, "request body", content),
    )


def _earlier(row: IdempotencyKey) -> IdempotencyKey | None:
    """The row that has the key already; None when it is ours now. Waits for one that is being answered."""
    IdempotencyKey.objects.filter(user=row.user, key=row.key, created_at__lte=clock.now() - KEPT).delete()
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return IdempotencyKey.objects.get(user=row.user, key=row.key)
    return None


def _again(kept: IdempotencyKey, row: IdempotencyKey) -> Response:
    if (kept.request, kept.body_hash) != (row.request, row.body_hash):
        raise Invalid.field(HEADER, "This key was used for another request. Use a new one.")
    return Response(kept.response, status=kept.status, headers={"Idempotency-Replayed": "true"})


def forget_old_keys() -> None:
    """Part of the tick."""
    IdempotencyKey.objects.filter(created_at__lte=clock.now() - KEPT).delete()
