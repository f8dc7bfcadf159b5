"""Bars on pages."""

from portal.lib.plots import Layer, stacked


def test_bars_stand_upon_each_other_and_say_what_they_show() -> None:
    layers = [Layer("Vera", [1.0, 0.0, 2.0]), Layer("Bo", [1.0, 3.0, 0.0])]
    drawn = stacked(["1", "2", "3"], layers, "Spent each day.", lambda height: f"€ {height:g}")
    assert 'aria-label="Spent each day."' in drawn
    assert drawn.count("<rect") == 4  # a day without any has no bar of that layer
    assert "€ 3" in drawn
    assert "<rect" not in stacked(["1"], [Layer("Vera", [0.0])], "Nothing.", str)
    assert "&lt;b&gt;" in stacked(["<b>", "2", "3"], layers[:1], "x", str)
