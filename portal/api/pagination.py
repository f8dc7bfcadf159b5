"""Pages of lists: by cursor, so that nothing is skipped or shown twice while rows come and go."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from portal.lib.errors import Invalid

if TYPE_CHECKING:
    from rest_framework.views import APIView


class Cursor(CursorPagination):
    """Newest first, unless the view has an `ordering` of its own."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    page_size_query_description = "Results per page, 1 to 200."
    cursor_query_description = "From `next` or `previous` of another page."

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any] | None:
        self._check_limit(request)
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError) as error:  # ValueError: a position that no row of this list could have
            if "cursor" not in request.query_params:
                raise
            sentence = "This cursor is not from here. Begin again without it."
            raise Invalid.field("cursor", sentence) from error

    def _check_limit(self, request: Request) -> None:
        text = request.query_params.get("limit", str(self.page_size))
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= self.max_page_size):
            raise Invalid.field("limit", f"Use a whole number from 1 to {self.max_page_size}.")

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        ordering: tuple[str, ...] = getattr(view, "ordering", ("-pk",))
        return ordering
