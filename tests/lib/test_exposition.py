"""The text that Prometheus reads: one line for each sample, and no label that breaks out of it."""

from decimal import Decimal

from portal.lib.exposition import Metric, text


def test_each_metric_has_its_help_kind_and_samples() -> None:
    queue = Metric("berth_queue_length", "gauge", "What waits.", [({}, 3)])
    rate = Metric("berth_cost_per_hour", "gauge", "A\\B\nC", [({"team": "vision", "currency": "EUR"}, Decimal("1E-7"))])
    assert text([queue, rate, Metric("berth_none", "counter", "Nothing.", [])]) == (
        "# HELP berth_queue_length What waits.\n"
        "# TYPE berth_queue_length gauge\n"
        "berth_queue_length 3\n"
        "# HELP berth_cost_per_hour A\\\\B\\nC\n"
        "# TYPE berth_cost_per_hour gauge\n"
        'berth_cost_per_hour{team="vision",currency="EUR"} 0.0000001\n'
        "# HELP berth_none Nothing.\n"
        "# TYPE berth_none counter\n"
    )


def test_labels_are_quoted() -> None:
    odd = Metric("berth_node_up", "gauge", "Up.", [({"node": 'a"b\\c\nd'}, 1.5)])
    assert text([odd]).splitlines()[2] == 'berth_node_up{node="a\\"b\\\\c\\nd"} 1.5'
