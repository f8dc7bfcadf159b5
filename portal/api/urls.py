"""Routes of the REST API, v1: what each app offers, its document, and 404 for the rest."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from environments.api import Workspaces
from environments.catalog_api import Images, Sizes, Templates
from portal.accounts.api import Me
from portal.api import views
from portal.api.idempotency import idempotent
from portal.audit.api import Audit
from portal.compute.api import Nodes
from portal.gateway.api import Open
from portal.lib.rest import ULID

router = SimpleRouter()
router.register("templates", Templates, basename="api-template")
router.register("sizes", Sizes, basename="api-size")
router.register("images", Images, basename="api-image")
router.register("workspaces", idempotent(Workspaces), basename="api-workspace")
router.register("nodes", Nodes, basename="api-node")
router.register("audit", Audit, basename="api-audit")

urlpatterns = [
    path("me/", Me.as_view(), name="api-me"),
    *router.urls,
    re_path(rf"^workspaces/(?P<pk>{ULID})/open/$", Open.as_view(), name="api-workspace-open"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"", views.not_found),
]
