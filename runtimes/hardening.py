"""The one way a spec becomes a Docker container: every limit and every denial is in this file."""

from typing import Any

from runtimes.base import FILES, HOST, SIMULATED, Mount, Spec

USER = "1000:1000"
LOG_FILE_MIB = 20
"""Of the three files that an engine keeps of what a container writes."""


def container_config(spec: Spec) -> dict[str, Any]:
    """The body of the engine's `POST /containers/create`; nothing but what the spec lists goes in.

    /tmp may hold programs (pip builds packages there); no set-user-id files and no devices.
    Seccomp stays the engine's default profile because nothing here names another.
    """
    filled = spec.listening_on(spec.port)
    config: dict[str, Any] = {
        "Image": spec.image,
        "User": USER,
        "Env": [f"{name}={value}" for name, value in _environment(filled).items()],
        "Labels": _labels(spec),
        "HostConfig": _host_config(spec),
        "NetworkingConfig": {"EndpointsConfig": {spec.network: {}}},
    }
    return config | _run(filled)


def _run(spec: Spec) -> dict[str, Any]:
    if spec.folders:
        return {"Entrypoint": list(spec.command), "WorkingDir": spec.folders[0]}
    return {"Cmd": list(spec.command)} if spec.command else {}


def _environment(spec: Spec) -> dict[str, str]:
    place = {"BERTH_FILES": FILES} if spec.files else {}
    # Where NVIDIA's is the default runtime, an image or a user could ask for every GPU with this variable.
    return {**spec.environment, **place, "NVIDIA_VISIBLE_DEVICES": ",".join(spec.gpus) or "void"}


def _labels(spec: Spec) -> dict[str, str]:
    port = {"berth.port": str(spec.port)} if spec.port else {}
    return {**spec.labels, **port, "berth.spec": spec.digest}


def _host_config(spec: Spec) -> dict[str, Any]:
    return {
        "NetworkMode": spec.network,
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "PidsLimit": spec.pids,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        "NanoCpus": round(spec.cpu * 1e9),
        "ShmSize": spec.shm,
        "Tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,size={spec.tmp},mode=1777"},
        "Init": True,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": f"{LOG_FILE_MIB}m", "max-file": "3"}},
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "PublishAllPorts": False,
        "ExtraHosts": [f"{HOST}:host-gateway"] if spec.knows_host else [],
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "DeviceRequests": _device_requests(spec.gpus),
    }


def unstarted(mount: Mount) -> dict[str, Any]:
    """Of a container that only holds a volume for the engine and is never started."""
    return {"NetworkMode": "none", "CapDrop": ["ALL"], "Mounts": [_mount(mount)]}


def _mount(mount: Mount) -> dict[str, Any]:
    return {"Type": "volume", "Source": mount.volume, "Target": mount.target, "ReadOnly": mount.read_only}


def _device_requests(gpus: tuple[str, ...]) -> list[dict[str, Any]]:
    real = [uuid for uuid in gpus if not uuid.startswith(SIMULATED)]
    return [{"Driver": "nvidia", "DeviceIDs": real, "Capabilities": [["gpu"]]}] if real else []
