"""`python3 -m deploy.server_secrets`: makes the folder `secrets/` that docker-compose.yml reads, once.

The files are readable by any account inside the containers, so the folder is what keeps others on the host out."""

import os
import secrets

from deploy.python_environment import ROOT
from deploy.screen import say


def values() -> dict[str, str]:
    """File name to content; the two URLs hold the two passwords."""
    postgres, redis = secrets.token_hex(24), secrets.token_hex(24)
    return {
        "secret-key": secrets.token_hex(32),
        "postgres-password": postgres,
        "redis-password": redis,
        "database-url": f"postgresql://berth:{postgres}@postgres:{os.environ.get('POSTGRES_PORT') or 5432}/berth",
        "redis-url": f"redis://:{redis}@redis:{os.environ.get('REDIS_PORT') or 6379}/0",
    }


def main() -> int:
    folder = ROOT / "secrets"
    if folder.exists():
        say(f"{folder} exists; nothing was changed.")
        return 0
    folder.mkdir(mode=0o700)
    for name, value in values().items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o444)
    say(f"Made {folder}. Keep a copy in a safe place: without secret-key, stored secrets cannot be read.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
