"""Berth: who may do what, where it runs, what it costs."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
