"""The one function that makes a container's configuration: nothing gets past it."""

import json
from typing import Any

import pytest

from runtimes.base import Mount, Spec
from runtimes.hardening import container_config

LABELS = {"berth.instance": "i", "berth.allocation": "1", "berth.owner": "u", "berth.generation": "1"}


def _spec(**fields: Any) -> Spec:
    common = {"name": "n", "image": "sha256:" + "0" * 64, "labels": LABELS, "network": "net"}
    return Spec(**{**common, "cpu": 1.5, "memory": 1024**3, **fields})


def test_only_allocated_gpus_are_given() -> None:
    config = container_config(_spec(gpus=("GPU-1", "GPU-2"), environment={"NVIDIA_VISIBLE_DEVICES": "all"}))
    assert config["HostConfig"]["DeviceRequests"] == [
        {"Driver": "nvidia", "DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}
    ]
    assert config["Env"] == ["NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2"]


@pytest.mark.parametrize("environment", [{}, {"NVIDIA_VISIBLE_DEVICES": "all"}])
def test_without_an_allocated_gpu_none_is_visible(environment: dict[str, str]) -> None:
    config = container_config(_spec(environment=environment))
    assert config["HostConfig"]["DeviceRequests"] == []
    assert config["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]


def test_limits_are_in_the_engines_units() -> None:
    host = container_config(_spec(cpu=0.1, memory=7_000_000, pids=9, shm=11, tmp=13))["HostConfig"]
    assert host["NanoCpus"] == 100_000_000
    assert (host["Memory"], host["MemorySwap"]) == (7_000_000, 7_000_000)
    assert (host["PidsLimit"], host["ShmSize"]) == (9, 11)
    assert host["Tmpfs"] == {"/tmp": "rw,exec,nosuid,nodev,size=13,mode=1777"}


def test_mounts_are_volumes_and_never_paths() -> None:
    host = container_config(_spec(mounts=(Mount("v", "/data/v", read_only=True),)))["HostConfig"]
    assert host["Mounts"] == [{"Type": "volume", "Source": "v", "Target": "/data/v", "ReadOnly": True}]
    assert "Binds" not in host


def test_the_whole_host_configuration_is_a_known_list() -> None:
    assert set(container_config(_spec())["HostConfig"]) == {
        "NetworkMode", "Privileged", "CapDrop", "SecurityOpt", "IpcMode", "CgroupnsMode", "PidsLimit", "Memory",
        "MemorySwap", "NanoCpus", "ShmSize", "Tmpfs", "Init", "LogConfig", "RestartPolicy", "AutoRemove",
        "PublishAllPorts", "ExtraHosts", "Mounts", "DeviceRequests",
    }  # fmt: skip


def test_with_folders_the_command_takes_the_place_of_the_images_entry_point() -> None:
    config = container_config(_spec(command=("train", "--fast"), folders=("/home/berth/code", "/home/berth/outputs")))
    assert (config["Entrypoint"], config["WorkingDir"]) == (["train", "--fast"], "/home/berth/code")
    assert "Cmd" not in config
    assert config["User"] == "1000:1000"


def test_a_spec_without_folders_is_the_same_container_as_before_there_were_any() -> None:
    assert _spec().digest == "62db87850f0a4133da48f46f4a945b74d0ec5f4e8a0fc5741bf7397d5b18cb4f"
    assert _spec(folders=("/home/berth/code",)).digest != _spec().digest


@pytest.mark.parametrize(("knows", "hosts"), [(False, []), (True, ["berth.internal:host-gateway"])])
def test_the_machine_has_a_name_only_where_the_spec_says_so(knows: bool, hosts: list[str]) -> None:
    assert container_config(_spec(knows_host=knows))["HostConfig"]["ExtraHosts"] == hosts


def test_the_port_is_filled_in_but_the_digest_is_of_the_spec() -> None:
    spec = _spec(port=8888, command=("serve", "--port={port}"), environment={"A": "{port}"})
    config = container_config(spec)
    assert config["Cmd"] == ["serve", "--port=8888"]
    assert "A=8888" in config["Env"]
    assert config["Labels"] == {**LABELS, "berth.port": "8888", "berth.spec": spec.digest}


def test_without_a_command_the_image_has_its_own() -> None:
    assert "Cmd" not in container_config(_spec())


def test_without_a_port_braces_stay_as_they_are() -> None:
    assert container_config(_spec(command=("echo", "{port}")))["Cmd"] == ["echo", "{port}"]


def test_equal_specs_have_equal_digests_and_others_do_not() -> None:
    assert _spec(cpu=2).digest == _spec(cpu=2.0).digest
    assert _spec().digest != _spec(pids=5).digest
    assert json.dumps(container_config(_spec())) == json.dumps(container_config(_spec()))
