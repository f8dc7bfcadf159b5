"""Whatever holds compute: sizes, nodes, allocations and the loop that joins wanted and seen."""
