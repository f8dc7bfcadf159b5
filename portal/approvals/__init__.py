"""Pages and API of limits, of requests for GPUs, and of the decisions about them."""
