"""Routes of the GPU board, of nodes, and of what others run."""

from django.urls import path

from portal.compute import looking_after_views as looking_after
from portal.compute import node_views, views

urlpatterns = [
    path("gpus/", views.gpu_board, name="gpu-board"),
    path("nodes/<str:node_id>/", node_views.node, name="node"),
    path("nodes/<str:node_id>/cordon/", views.cordon, name="node-cordon"),
    path("nodes/<str:node_id>/drain/", node_views.drain, name="node-drain"),
    path("nodes/<str:node_id>/undrain/", node_views.undrain, name="node-undrain"),
    path("allocations/<str:allocation_id>/message/", looking_after.message, name="allocation-message"),
    path("allocations/<str:allocation_id>/stop/", looking_after.stop, name="allocation-stop"),
]
