"""Errors as `application/problem+json`: expected failures, and what the framework refuses."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from portal.lib.errors import Forbidden, Invalid, NotFound, Problem
from portal.lib.rest import PROBLEM, NextSerializer

WHOLE_BODY = "body"
"""Names what is wrong with the body as a whole."""


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler. None for a bug: it becomes a 500 with an id (views.server_error)."""
    problem = as_problem(error)
    if problem is None:
        return None
    set_rollback()
    return Response(body(problem), status=problem.status, headers=_headers(error), content_type=PROBLEM)


def as_problem(error: Exception) -> Problem | None:
    match error:
        case Problem():
            return error
        case exceptions.ValidationError():
            return _invalid(error)
        case Http404():
            return NotFound("There is nothing here.")
        case PermissionDenied():
            return Forbidden("You may not do this.")
        case exceptions.APIException():
            return _from_framework(error)
        case _:
            return None


def body(problem: Problem) -> dict[str, Any]:
    """Shape of ProblemSerializer."""
    return {
        "type": f"urn:berth:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "errors": problem.fields,
        "next": NextSerializer().to_representation(problem.next_step) if problem.next_step else None,
    }


def _invalid(error: exceptions.ValidationError) -> Invalid:
    fields: dict[str, list[str]] = {}
    for name, sentence in _flat("", error.detail):
        fields.setdefault(name or WHOLE_BODY, []).append(sentence)
    first = next(iter(fields), WHOLE_BODY)
    return Invalid(f"{first}: {fields[first][0]}" if fields else "The request is not valid.", fields=fields)


def _flat(name: str, detail: Any) -> Iterator[tuple[str, str]]:
    """Field and sentence; the field inside another with a dot between."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            own = name if key == "non_field_errors" else f"{name}.{key}" if name else str(key)
            yield from _flat(own, inner)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flat(name, inner)
    else:
        yield name, str(detail)


def _from_framework(error: exceptions.APIException) -> Problem:
    problem = Problem(str(error.detail), code=error.default_code)
    problem.status = error.status_code
    problem.title = HTTPStatus(error.status_code).phrase
    return problem


def _headers(error: Exception) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(getattr(error, "wait", None) or 1)
    return headers
