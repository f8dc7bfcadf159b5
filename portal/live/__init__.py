"""Names of what changed, from PostgreSQL's side to open pages by way of Redis."""
