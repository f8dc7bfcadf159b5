"""Rows of due work that fail are left alone for a while; that a worker's time is up is nobody's fault."""

from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from portal.lib import clock
from portal.lib.postponing import POSTPONED, Postponed


def test_a_row_that_fails_is_left_alone_for_a_while() -> None:
    postponed = Postponed("the test")
    with postponed.trying(1):
        raise ZeroDivisionError
    with postponed.trying(2):
        pass
    assert postponed.rows() == [1]
    with clock.shifted(POSTPONED + timedelta(seconds=1)):
        assert postponed.rows() == []


def test_when_time_is_up_the_work_ends_and_no_row_is_blamed() -> None:
    postponed = Postponed("the test")
    with pytest.raises(SoftTimeLimitExceeded), postponed.trying(1):
        raise SoftTimeLimitExceeded
    assert postponed.rows() == []
