"""Who calls: the owner of the token in `Authorization: Bearer …`."""

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from portal.accounts.access import user_by_token
from portal.accounts.actions import note_use
from portal.accounts.models import ApiToken, User


class TokenAuthentication(BaseAuthentication):
    """Sets `request.auth` to the ApiToken."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = user_by_token(secret.strip().decode(errors="replace"))
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Berth"'
