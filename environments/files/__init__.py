"""The file browser: people's volumes, seen and changed without an engine."""
