"""All settings of Berth: the only place that reads the environment; a first run needs none of it set."""

import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from portal.lib import sealing

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv(
    BERTH_ACTIVITY_SECONDS=(float, 30.0),
    BERTH_AGENT_NODE=(str, ""),
    BERTH_APT_MIRROR=(str, ""),
    BERTH_CA_BUNDLE=(str, ""),
    BERTH_CONTAINER_NETWORKS=(str, "10.201.0.0/16"),
    BERTH_CPU_OVERCOMMIT=(float, 4.0),
    BERTH_CURRENCY=(str, "EUR"),
    BERTH_DATA=(str, str(BASE_DIR / ".berth")),
    BERTH_DEBUG=(bool, False),
    BERTH_DEMO_HISTORY=(bool, False),
    BERTH_ENGINE_URL=(str, ""),
    BERTH_FILES_ADDRESS=(str, "127.0.0.1:8005"),
    BERTH_JOB_FILES_DAYS=(int, 90),
    BERTH_EXECUTE_SOCKET=(str, ""),
    BERTH_INSTANCE=(str, "local"),
    BERTH_INTERACTIVE_FIRST=(bool, True),
    BERTH_LIVE_ADDRESS=(str, "127.0.0.1:8002"),
    BERTH_LOG_DAYS=(int, 90),
    BERTH_LOG_GB=(float, 1.0),
    BERTH_MAIL_FROM=(str, "Berth <berth@localhost>"),
    BERTH_NOTICE_DAYS=(int, 90),
    BERTH_NPM_REGISTRY=(str, ""),
    BERTH_PIP_INDEX_URL=(str, ""),
    BERTH_PORT=(int, 8000),
    BERTH_PORTAL_URL=(str, "http://localhost:8000"),
    BERTH_REACHABLE_NETWORKS=(list, []),
    BERTH_RELAY_ADDRESS=(str, "127.0.0.1:8003"),
    BERTH_RUNTIME=(str, "docker"),
    BERTH_SECRETS_KEYS=(str, ""),
    BERTH_SECRET_KEY=(str, ""),
    BERTH_SERVICES_PORT=(int, 0),
    BERTH_SIMULATED_GPUS=(str, ""),
    BERTH_VOLUMES=(str, ""),
    BERTH_SSH_PORT=(int, 8004),
    BERTH_WEBHOOK_HOSTS=(list, []),
    BERTH_WEB_ADDRESS=(str, "127.0.0.1:8001"),
    BERTH_WORKSPACE_URL=(str, "http://{id}.localhost:8000/"),
    DATABASE_URL=(str, "postgres://postgres@127.0.0.1:5432/berth"),
    EMAIL_URL=(str, "dummymail://"),
    REDIS_URL=(str, "redis://127.0.0.1:6379/0"),
)

BERTH_DATA = Path(env("BERTH_DATA"))
_environment_file = BERTH_DATA / "environment"
if _environment_file.exists():  # written by `make run`, so that manage.py finds the same services
    env.read_env(_environment_file)

_known = {name + suffix for name in env.scheme for suffix in ("", "_FILE")}
_unknown = sorted(name for name in env.ENVIRON if name.startswith("BERTH_") and name not in _known)
if _unknown:
    raise ImproperlyConfigured(
        f"Unknown setting {', '.join(_unknown)}. Known: {', '.join(sorted(env.scheme))} (each also as NAME_FILE)."
    )


def _secret_key() -> str:
    """The configured key, or one made at first start and kept beside the data."""
    configured: str = env("BERTH_SECRET_KEY")
    if configured:
        return configured.strip()
    path = BERTH_DATA / "secret-key"
    if not path.exists():
        from django.core.management.utils import get_random_secret_key

        BERTH_DATA.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=BERTH_DATA, prefix="secret-key-") as made:  # readable by its owner only
            made.write(get_random_secret_key())
            made.flush()
            with suppress(FileExistsError):  # another process was first: its key is the one
                path.hardlink_to(made.name)
    return path.read_text().strip()


def _mirror(name: str) -> str:
    """An address without a password: it can be read in the history of what is built with it."""
    address: str = env(name).strip().rstrip("/")
    parts = urlsplit(address)
    if address and (parts.scheme not in ("http", "https") or "@" in parts.netloc or set(address) & set(" ,'\"\\\n$")):
        raise ImproperlyConfigured(f"{name} must be an http(s) address without user name or password.")
    return address


def _secrets_keys() -> tuple[sealing.Key, ...]:
    try:
        return sealing.keys(env("BERTH_SECRETS_KEYS"), SECRET_KEY)
    except ValueError as error:
        raise ImproperlyConfigured(f"BERTH_SECRETS_KEYS: {error}.") from None


def _simulated_gpus() -> dict[str, int]:
    """Devices to declare, by class: `a100:2,l4:4`."""
    declared: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in env("BERTH_SIMULATED_GPUS").split(","))):
        name, _, count = part.partition(":")
        if not re.fullmatch("[a-z0-9][a-z0-9-]{0,38}", name) or not re.fullmatch("[0-9]{1,2}", count):
            raise ImproperlyConfigured(f"BERTH_SIMULATED_GPUS: “{part}” is no class and number, such as a100:2.")
        declared[name] = int(count)
    return declared


DEBUG = env("BERTH_DEBUG")
SECRET_KEY = _secret_key()
SECRETS_KEYS = _secrets_keys()

INSTANCE = env("BERTH_INSTANCE").strip()
RUNTIME = env("BERTH_RUNTIME")
ENGINE_URL = env("BERTH_ENGINE_URL")
CA_BUNDLE = env("BERTH_CA_BUNDLE")
PIP_INDEX_URL = _mirror("BERTH_PIP_INDEX_URL")
NPM_REGISTRY = _mirror("BERTH_NPM_REGISTRY")
APT_MIRROR = _mirror("BERTH_APT_MIRROR")
CONTAINER_NETWORKS = env("BERTH_CONTAINER_NETWORKS")
REACHABLE_NETWORKS = env("BERTH_REACHABLE_NETWORKS")
CPU_OVERCOMMIT = env("BERTH_CPU_OVERCOMMIT")
CURRENCY = env("BERTH_CURRENCY")
DEMO_HISTORY = env("BERTH_DEMO_HISTORY")
SIMULATED_GPUS = _simulated_gpus()
GATEWAY_PORT = env("BERTH_PORT")
SERVICES_PORT = env("BERTH_SERVICES_PORT")
WEB_ADDRESS = env("BERTH_WEB_ADDRESS")
LIVE_ADDRESS = env("BERTH_LIVE_ADDRESS")
RELAY_ADDRESS = env("BERTH_RELAY_ADDRESS")
FILES_ADDRESS = env("BERTH_FILES_ADDRESS")
PORTAL_URL = env("BERTH_PORTAL_URL").rstrip("/")
WORKSPACE_URL = env("BERTH_WORKSPACE_URL")
INTERACTIVE_FIRST = env("BERTH_INTERACTIVE_FIRST")
AGENT_NODE = env("BERTH_AGENT_NODE")
VOLUMES = env("BERTH_VOLUMES") or (
    "/var/lib/docker/volumes" if RUNTIME == "docker" else str(BERTH_DATA / "runtime/volumes")
)
JOB_FILES_DAYS = env("BERTH_JOB_FILES_DAYS")
SSH_PORT = env("BERTH_SSH_PORT")
SSH_HOST_KEY = BERTH_DATA / "ssh-host-key"
EXECUTE_SOCKET = env("BERTH_EXECUTE_SOCKET") or str(BERTH_DATA / "run" / "execute.sock")
LOG_STORAGE = BERTH_DATA / "logs"
LOG_BYTES = int(env("BERTH_LOG_GB") * 1024**3)
LOG_KEPT = timedelta(days=env("BERTH_LOG_DAYS")) or None
ACTIVITY_SECONDS = env("BERTH_ACTIVITY_SECONDS")
NOTICE_DAYS = env("BERTH_NOTICE_DAYS")
WEBHOOK_HOSTS = [host.strip().lower() for host in env("BERTH_WEBHOOK_HOSTS")]

DEFAULT_FROM_EMAIL = env("BERTH_MAIL_FROM")
vars().update(env.email("EMAIL_URL"))
EMAIL_TIMEOUT = 20

SECURE = urlsplit(PORTAL_URL).scheme == "https"
ALLOWED_HOSTS = [urlsplit(PORTAL_URL).hostname or "localhost", "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]
SESSION_COOKIE_NAME = "__Host-berth-session" if SECURE else "berth-session"
CSRF_COOKIE_NAME = "__Host-berth-csrf" if SECURE else "berth-csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # who terminates TLS redirects to it; probes come without TLS
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "portal.audit",
    "portal.live",
    "portal.accounts",
    "portal.notices",
    "portal.announcements",
    "portal.quotas",
    "portal.compute",
    "portal.usage",
    "environments",
    "jobs",
    "portal.administration",
    "portal.gateway",
    "portal.api",
    "portal.ui",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.ui.middleware.content_security_policy",
    "portal.ui.middleware.time_zone",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.ui.middleware.problems",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
ASGI_APPLICATION = "portal.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.ui.context.site",
            ],
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"] |= {
    "ATOMIC_REQUESTS": False,
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
CSRF_FAILURE_VIEW = "portal.ui.views.csrf_failure"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "portal.accounts.views.locked_out"
AXES_CLIENT_IP_CALLABLE = "portal.accounts.views.client_address"
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BERTH_DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portal.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["portal.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.api.parsers.Json"],
    "DEFAULT_PAGINATION_CLASS": "portal.api.pagination.Cursor",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["portal.api.throttles.ScopedThrottle"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_THROTTLE_RATES": {"launch": "60/min", "ticket": "120/min"},
    "EXCEPTION_HANDLER": "portal.api.problems.problem_response",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Berth API",
    "VERSION": "1",
    "DESCRIPTION": "Workspaces, jobs, usage and quota for data-science teams.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "Phase": "portal.compute.states.Phase",
        "WorkspaceState": "environments.states.WorkspaceState",
        "JobState": "jobs.states.JobState",
        "ModelVersionState": "jobs.model_states.VersionState",
        "ImageState": "environments.states.ImageState",
        "SecretKind": "portal.accounts.models.SecretKind",
        "NoticeKind": "portal.notices.states.Kind",
        "ToldKind": "portal.notices.states.CHOSEN",
        "MailedKind": "portal.notices.states.CHOSEN_BY_MAIL",
        "DeliveryState": "portal.notices.states.DeliveryState",
        "SweepKind": "jobs.plan_states.Space",
        "ImageReadiness": "environments.catalog_api.READINESS",
    },
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"asyncssh": {"level": "WARNING"}, "axes": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
