"""Celery: the doorbell. Every task may vanish or run twice; nothing correct rests on its delivery."""

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery, Task
from celery.signals import worker_init
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import KombuError

from portal.lib.starting import refuse_if_misconfigured

logger = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

SHORT_LIMIT = 60
"""Seconds after which a short task is killed; a heavy one gets sixty times that. All limits derive from it."""
HEAVY_LIMIT = 60 * SHORT_LIMIT

app = Celery("berth")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="short",
    task_routes={},
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=2000,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": HEAVY_LIMIT + 2 * SHORT_LIMIT,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
    },
    broker_pool_limit=10,
    task_publish_retry=False,
    beat_schedule={
        "tick": {"task": "portal.compute.tasks.tick", "schedule": 2.0, "options": {"expires": 4}},
    },
)
app.autodiscover_tasks()


@worker_init.connect
def _refuse_to_start(**_: Any) -> None:
    try:
        refuse_if_misconfigured()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from None  # of anything else Celery says a word and goes on


F = TypeVar("F", bound=Callable[..., None])


def short(function: F) -> "Task[Any, Any]":
    """A task that takes an id or nothing, re-reads, does one bounded thing, and may safely run twice."""
    task: Task[Any, Any] = app.task(soft_time_limit=9 * SHORT_LIMIT // 10, time_limit=SHORT_LIMIT)(function)
    return task


def heavy(function: F) -> "Task[Any, Any]":
    """As `short`, but it may take an hour and runs where it delays nobody."""
    task: Task[Any, Any] = app.task(soft_time_limit=9 * HEAVY_LIMIT // 10, time_limit=HEAVY_LIMIT)(function)
    app.conf.task_routes[task.name] = {"queue": "heavy"}
    return task


def waiting(function: F) -> "Task[Any, Any]":
    """As `short`, but it does little more than wait, and many run side by side in threads.

    Celery can end no thread, and when the broker comes back it would try to end what is not acknowledged yet: so
    such a task is acknowledged early, and whoever rings for it rings again when it was lost.
    """
    task: Task[Any, Any] = app.task(acks_late=False)(function)
    app.conf.task_routes[task.name] = {"queue": "waiting"}
    return task


def ring(task: "Task[Any, Any]", *args: str) -> None:
    """Ask a worker to look now. A broker that does not answer costs latency only: the tick looks later."""
    try:
        task.apply_async(args=args, retry=False, ignore_result=True)
    except (KombuError, OSError) as error:
        logger.warning("%s waits for the next tick, the broker does not answer: %s", task.name, error)
