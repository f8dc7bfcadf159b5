"""Entry point of the `web` process."""

import os

from django.core.wsgi import get_wsgi_application

from portal.lib.starting import refuse_if_misconfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()
refuse_if_misconfigured()
