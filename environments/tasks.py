"""Celery's door to environments."""

from environments import idling, image_cleaning, images, mails, volumes
from portal.celery import heavy, short, waiting


@heavy
def build_image(name: str) -> None:
    images.fetch(name)


@waiting
def pull_image(name: str) -> None:
    """The engine does the work and ends it within an hour (runtimes)."""
    images.fetch(name)


@heavy
def clean_images() -> None:
    image_cleaning.clean()


@short
def try_image_anew(name: str) -> None:
    images.try_anew(name)


@short
def delete_volume(volume_id: str) -> None:
    volumes.delete(volume_id)


@short
def make_volume(volume_id: str) -> None:
    volumes.make(volume_id)


@short
def mail_idle_warning(workspace_id: str) -> None:
    idling.mail_warning(workspace_id)


@short
def mail_share(share_id: str) -> None:
    mails.mail_share(share_id)


@short
def mail_offer(offer_id: str) -> None:
    mails.mail_offer(offer_id)
