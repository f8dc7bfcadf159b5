"""All that tests Berth. Helpers' assertions tell what they compared, as those in tests do."""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{found.name}" for found in pkgutil.iter_modules(__path__)))
