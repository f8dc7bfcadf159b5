"""The way into a workspace, through real nginx, gunicorn, relay and PostgreSQL."""
