"""Signed lists of topics: the view that checked access names them, the stream only checks the signature."""

from django.core import signing

MAX_AGE_SECONDS = 12 * 3600


def sign(user_id: str, topics: list[str]) -> str:
    """A token for `/live/?topics=`, good for this user only."""
    return signing.dumps(topics, salt=f"live:{user_id}", compress=True)


def read(user_id: str, token: str) -> list[str]:
    """The topics in a token. Raises signing.BadSignature when it is foreign, edited or too old."""
    topics: list[str] = signing.loads(token, salt=f"live:{user_id}", max_age=MAX_AGE_SECONDS)
    return topics
