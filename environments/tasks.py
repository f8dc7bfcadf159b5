"""Celery's door to environments."""

from environments import images, volumes
from portal.celery import heavy, short


@heavy
def fetch_image(name: str) -> None:
    images.fetch(name)


@short
def delete_volume(volume_id: str) -> None:
    volumes.delete(volume_id)
