"""Limits how often one user may launch and open; without the cache there is no limit rather than no service."""

import logging
from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)


class ScopedThrottle(ScopedRateThrottle):
    """Views name their `throttle_scope`; the rates are in the settings."""

    said = False

    def allow_request(self, request: Request, view: "APIView") -> bool:
        try:
            allowed = super().allow_request(request, view)
        except Exception as error:  # whatever a cache raises when it is away
            if not ScopedThrottle.said:
                logger.warning("the cache does not answer, nothing is throttled: %s", error)
            ScopedThrottle.said = True
            return True
        ScopedThrottle.said = False
        return allowed
