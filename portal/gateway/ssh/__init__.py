"""The SSH door: a way into running workspaces for the editors and tools of people's own machines."""
