"""What a token opens: its scopes, and never more than its owner's rights now."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from portal.accounts.models import ApiToken
from portal.accounts.states import allows
from portal.lib.errors import Forbidden, Next
from portal.lib.rest import ANY_SCOPE

if TYPE_CHECKING:
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Every view names its `resource`; safe methods need its `read`, all others its `write`. Admin needs staff too."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        token, resource = request.auth, view.resource  # type: ignore[attr-defined]
        if not isinstance(token, ApiToken):
            return False
        write = request.method not in SAFE_METHODS
        if resource != ANY_SCOPE and not allows(token.scopes, resource, write):
            needed = f"{resource}:{'write' if write else 'read'}"
            raise Forbidden(
                f"This token lacks the scope {needed}.",
                code="missing_scope",
                next_step=Next("Make another token", "/tokens/"),
            )
        if resource == "admin" and not token.user.is_staff:
            raise Forbidden("Only administrators may do this.")
        return True
