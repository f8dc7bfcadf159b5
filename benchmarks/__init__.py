"""How fast Berth is beside others, as ratios within one run: `python -m benchmarks`."""
