"""Errors as `application/problem+json`: expected failures, and what the framework refuses."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from portal.lib.errors import Forbidden, NotFound, Problem
from portal.lib.rest import PROBLEM, NextSerializer, invalid


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
            return invalid(error)
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
