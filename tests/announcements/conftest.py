"""Jobs and callers of the API, beside what all tests share."""

from tests.api.conftest import caller  # noqa: F401  # fixtures
from tests.jobs.conftest import submit, tick  # noqa: F401
