"""Routes of the REST API, v1: what each app offers, its document, and 404 for the rest."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from environments.api import Workspaces
from environments.catalog_api import Images, Sizes, Templates
from environments.configuration_api import Configurations
from environments.files import api as files
from environments.secret_api import Secrets
from environments.serving_api import ServesTeam
from environments.sharing_api import Accepted, Copies, Declined, Offer, Offers, Shares
from jobs.api import Jobs
from jobs.artifact_api import ArtifactArchive, ArtifactContent, Artifacts
from jobs.model_api import NAME as MODEL
from jobs.model_api import Models, OneVersion, VersionContent, Versions
from jobs.plan_api import Schedules, Sweeps
from portal.accounts.api import Me
from portal.accounts.key_api import Keys
from portal.announcements.api import Announcements
from portal.api import views
from portal.api.idempotency import idempotent
from portal.approvals.api import QuotaRequests, Quotas
from portal.approvals.delegation_api import Delegations
from portal.audit.api import Audit
from portal.compute.api import Nodes
from portal.compute.looking_after_api import Allocations
from portal.gateway.api import Open
from portal.lib.rest import ULID
from portal.notices.api import Notices
from portal.notices.webhook_api import Webhooks
from portal.usage.api import Usage
from portal.usage.budget_api import Budgets
from portal.usage.export_api import Export
from portal.usage.price_api import Prices
from portal.usage.statement_api import Statements

router = SimpleRouter()
router.register("templates", Templates, basename="api-template")
router.register("sizes", Sizes, basename="api-size")
router.register("images", Images, basename="api-image")
router.register("workspaces", idempotent(Workspaces), basename="api-workspace")
router.register(rf"workspaces/(?P<workspace>{ULID})/shares", idempotent(Shares), basename="api-share")
router.register(rf"workspaces/(?P<workspace>{ULID})/duplicate", idempotent(Copies), basename="api-copy")
router.register("offers", Offers, basename="api-offer")
router.register("configurations", idempotent(idempotent(Configurations), "launch"), basename="api-configuration")
router.register("secrets", idempotent(Secrets), basename="api-secret")
router.register("keys", idempotent(Keys), basename="api-key")
router.register("jobs", idempotent(idempotent(Jobs), "rerun"), basename="api-job")
router.register("sweeps", idempotent(Sweeps), basename="api-sweep")
router.register("schedules", idempotent(Schedules), basename="api-schedule")
router.register("notices", Notices, basename="api-notice")
router.register("webhooks", Webhooks, basename="api-webhook")
router.register("models", idempotent(Models), basename="api-model")
router.register(rf"models/(?P<name>{MODEL})/versions", idempotent(Versions), basename="api-model-version")
router.register("quotas", Quotas, basename="api-quota")
router.register("quota-requests", idempotent(QuotaRequests), basename="api-quota-request")
router.register("delegations", idempotent(Delegations), basename="api-delegation")
router.register("prices", Prices, basename="api-price")
router.register("statements", Statements, basename="api-statement")
router.register("allocations", Allocations, basename="api-allocation")
router.register("nodes", Nodes, basename="api-node")
router.register("announcements", idempotent(Announcements), basename="api-announcement")
router.register("audit", Audit, basename="api-audit")

urlpatterns = [
    path("me/", Me.as_view(), name="api-me"),
    path("usage/", Usage.as_view(), name="api-usage"),
    path("usage/export/", Export.as_view(), name="api-usage-export"),
    path("budgets/", Budgets.as_view(), name="api-budgets"),
    *router.urls,
    re_path(rf"^workspaces/(?P<pk>{ULID})/open/$", Open.as_view(), name="api-workspace-open"),
    re_path(rf"^workspaces/(?P<pk>{ULID})/serve-team/$", ServesTeam.as_view(), name="api-workspace-serve-team"),
    path("files/", files.Folders.as_view(), name="api-folders"),
    path("files/uploads/<str:upload_id>/", files.OneUpload.as_view(), name="api-upload"),
    path("files/<slug:key>/versions/", files.Versions.as_view(), name="api-dataset-versions"),
    path("files/<slug:key>/entries/", files.Entries.as_view(), name="api-files"),
    path("files/<slug:key>/content/", files.Content.as_view(), name="api-file"),
    path("files/<slug:key>/uploads/", files.Uploads.as_view(), name="api-uploads"),
    re_path(rf"^workspaces/(?P<workspace>{ULID})/offer/$", Offer.as_view(), name="api-workspace-offer"),
    re_path(rf"^offers/(?P<workspace>{ULID})/accept/$", Accepted.as_view(), name="api-offer-accept"),
    re_path(rf"^offers/(?P<workspace>{ULID})/decline/$", Declined.as_view(), name="api-offer-decline"),
    re_path(rf"^jobs/(?P<pk>{ULID})/artifacts/$", Artifacts.as_view(), name="api-artifacts"),
    re_path(rf"^jobs/(?P<pk>{ULID})/artifacts/(?P<path>.+)$", ArtifactContent.as_view(), name="api-artifact"),
    re_path(rf"^jobs/(?P<pk>{ULID})/archive/$", ArtifactArchive.as_view(), name="api-archive"),
    re_path(rf"^models/(?P<name>{MODEL})/versions/(?P<number>\d{{1,9}})/$", OneVersion.as_view(), name="api-version"),
    re_path(
        rf"^models/(?P<name>{MODEL})/versions/(?P<number>\d{{1,9}})/download/$",
        VersionContent.as_view(),
        name="api-version-download",
    ),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"", views.not_found),
]
