"""Gunicorn's configuration of the process `files`: the same application, and what it does beside (beside.py)."""

from typing import Any

preload_app = True
worker_class = "gthread"
workers = 2
threads = 16
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
graceful_timeout = 5
loglevel = "warning"


def post_worker_init(worker: Any) -> None:
    from environments.files import beside

    beside.start()
