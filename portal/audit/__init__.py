"""Who did what to what: an append-only, hash-chained record."""
