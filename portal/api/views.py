"""What the API answers outside its routes: unknown paths and bugs."""

import logging

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from portal.api.problems import body
from portal.lib.errors import Next, NotFound, Problem
from portal.lib.ids import new_id
from portal.lib.rest import PROBLEM

logger = logging.getLogger(__name__)


class OurFault(Problem):
    status = 500
    code = "internal"
    title = "Our fault"


def _answer(problem: Problem) -> JsonResponse:
    return JsonResponse(body(problem), status=problem.status, content_type=PROBLEM)


@csrf_exempt
def not_found(request: HttpRequest) -> JsonResponse:
    """Any path that no route has. Paths end with a slash."""
    where = request.path[:200]
    hint = "" if where.endswith("/") else " Paths end with a slash."
    return _answer(NotFound(f"There is nothing at {where}.{hint}", next_step=Next("All paths", "/api/v1/docs/")))


def server_error(request: HttpRequest) -> JsonResponse:
    """A bug: the id is in the log, with the traceback."""
    error_id = new_id()
    logger.exception("error %s at %s %s", error_id, request.method, request.path)
    return _answer(OurFault(f"Something broke on our side. Tell an administrator this id: {error_id}."))
