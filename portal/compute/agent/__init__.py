"""The agent: one per engine; watches, probes, collects logs and samples, and ticks when nobody else does."""
