"""The packet filter's rules as text: what they leave open."""

import pytest

from runtimes import isolation


def _of(part: str, **more: int) -> list[str]:
    chain = isolation._chain("i", part)
    rows = isolation._rules("i", [], ["10.0.0.0/8"], **{"door": 0} | more).splitlines()
    return [row.removeprefix(f"-A {chain} ") for row in rows if row.startswith(f"-A {chain} ")]


def test_of_the_host_one_port_is_open_where_there_is_a_door() -> None:
    assert "-p tcp --dport 8006 -j RETURN" in _of("host", door=8006)
    assert _of("host", door=8006)[-1].startswith("-j REJECT")
    assert len(_of("host", door=8006)) == len(_of("host")) + 1


@pytest.mark.parametrize("door", [0, 8006])
def test_nothing_is_forwarded_to_it(door: int) -> None:
    assert "--dport 8006" not in " ".join(_of("out", door=door))
