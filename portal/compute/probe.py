"""Asks an application whether it is ready: an HTTP GET on its health path."""

import http.client

from portal.compute.models import Allocation

TIMEOUT_SECONDS = 2.0


def answers(allocation: Allocation) -> bool:
    """True when the health path answers below 500; never raises for an application that is not up."""
    path = allocation.spec["health_path"]
    connection = http.client.HTTPConnection(allocation.address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": allocation.address, "User-Agent": "berth-probe"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
