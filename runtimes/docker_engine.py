"""The connection to one Docker engine: time limits, and the one table from the SDK's errors to ours."""

import io
import math
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Self, TypeVar

import requests
import urllib3
from docker import APIClient, errors

from runtimes.base import EngineRefused, EngineUnreachable, ImageMissing, RuntimeFailure
from runtimes.bounded import Bounded

T = TypeVar("T")
HOUR = 3600.0


class Absent(EngineRefused):
    """404: the thing asked about is not there."""


class Conflict(EngineRefused):
    """409: the name is taken, or the container is in another state than the verb needs."""


_ERRORS: tuple[tuple[type[Exception], tuple[int, ...], type[RuntimeFailure]], ...] = (
    (errors.ImageNotFound, (), ImageMissing),
    (errors.APIError, (404,), Absent),
    (errors.APIError, (409,), Conflict),
    (errors.APIError, (502, 503, 504), EngineUnreachable),
    (errors.APIError, (), EngineRefused),
    (requests.exceptions.RequestException, (), EngineUnreachable),
    (urllib3.exceptions.HTTPError, (), EngineUnreachable),
    (errors.InvalidVersion, (), EngineRefused),
    (errors.InvalidRepository, (), EngineRefused),
    # What is left comes from asking for the engine's version: no connection, or no engine behind it.
    (errors.DockerException, (), EngineUnreachable),
)
"""Every exception of the SDK and what callers see; the first row that fits. () is any status."""


_OF_THE_SDK = (errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError)


def translated(error: Exception, *, reading: bool = False) -> Exception:
    """The error of base.py for one of the SDK; any other is a bug and comes back as it is.

    An answer 500 to a question says nothing about the container, so while reading it is no answer.
    """
    status = getattr(getattr(error, "response", None), "status_code", None)
    if reading and status == 500:
        return EngineUnreachable(_sentence(error))
    for kind, statuses, ours in _ERRORS:
        if isinstance(error, kind) and (not statuses or status in statuses):
            return ours(_sentence(error))
    return error


def _sentence(error: Exception) -> str:
    words = str(getattr(error, "explanation", None) or error).strip()
    return f"The container engine said: {words[:1000]}"


class Engine(Bounded):
    """Asks an engine; every answer comes within the limit, every error is one of base.py."""

    def __init__(self, base_url: str | None, limit: float) -> None:
        super().__init__(limit)
        self._base_url = base_url
        self._client: APIClient | None = None

    def _connected(self) -> APIClient:
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> APIClient:
        client = APIClient(self._base_url, version="auto", timeout=math.ceil(self.seconds))
        # Proxy variables are for the internet, not for the engine's socket.
        client.trust_env = False
        return client

    @property
    def on_this_machine(self) -> bool:
        """Over a network it may be anywhere."""
        return self._base_url is None or self._base_url.startswith("unix:")

    def forget_connections(self) -> None:
        """The next call makes a new one."""
        self._client = None

    def ask(self, work: Callable[[Any], T], *, reading: bool = False) -> T:
        """What `work` gets from the SDK's client; `reading` when it only asks a question."""
        try:
            return self.call(lambda: work(self._connected()))
        except EngineUnreachable:
            self._client = None
            raise
        except _OF_THE_SDK as error:
            failure = translated(error, reading=reading)
            if isinstance(failure, EngineUnreachable):
                # A restarted engine may speak another version; connections to the old one are dead.
                self._client = None
            raise failure from error

    def messages(self, work: Callable[[Any], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any] | None]:
        """Those of a pull or build, for an hour at most; None each second without one.

        Who stops reading hangs up, and the engine then stops the work.
        """
        answers: list[requests.Response] = []

        def opened() -> Iterator[dict[str, Any]]:
            client = self._new_client()  # of its own, because shared ones are never hung up on
            client.hooks["response"].append(lambda answer, *_, **__: answers.append(answer))
            yield from work(client)

        try:
            for message in self.stream(opened(), HOUR):
                raise_if_error(message or {})
                yield message
        except _OF_THE_SDK as error:
            raise translated(error) from error
        finally:
            _hang_up(answers)


def _hang_up(answers: Iterable[requests.Response]) -> None:
    """A thread that waits for more of them is told that there is none."""
    for answer in answers:
        sock = getattr(getattr(answer.raw, "connection", None), "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def raise_if_error(message: dict[str, Any]) -> None:
    if "error" in message:
        raise EngineRefused(str(message["error"]).strip())


class _Arriving(io.RawIOBase):
    """The body of an answer, as it comes."""

    def __init__(self, response: requests.Response) -> None:
        self._body = response.raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._body.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class StreamedAnswer:
    """The body of an answer, read as it comes."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._body = io.BufferedReader(_Arriving(response), 64 * 1024)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()

    def hang_up(self) -> None:
        """From another thread than the one that reads, which is told that there is no more."""
        _hang_up([self._response])

    def read(self, count: int) -> bytes:
        """`count` bytes, or fewer when the answer ends."""
        try:
            return self._body.read(count)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise EngineUnreachable(_sentence(error)) from error


def open_stream(
    api: APIClient, path: str, params: dict[str, Any], limits: tuple[float, float | None]
) -> StreamedAnswer:
    """A question the SDK has no streamed call for, or one that mixes the two outputs of a container."""
    url, plain = f"{api.base_url}/v{api.api_version}{path}", {"Accept-Encoding": "identity"}
    response = api.get(url, params=params, headers=plain, stream=True, timeout=limits)
    try:
        response.raise_for_status()
    except requests.exceptions.HTTPError as error:
        errors.create_api_error_from_http_exception(error)
    return StreamedAnswer(response)
