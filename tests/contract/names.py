"""Names that the contract tests share: one instance per run, so that only its own traces are cleaned up."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtimes.base import Spec

INSTANCE = f"contract-{secrets.token_hex(4)}"
NEIGHBOUR = f"{INSTANCE}-neighbour"
NETWORKS = "10.219.0.0/16"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE_IMAGE = "berth-test:base"
FAKE_IMAGE = "sha256:" + "0" * 64

MakeSpec = Callable[..., Spec]
Until = Callable[[Callable[[], Any]], Any]
