"""Devices are mapped to onnxruntime's providers; the device in use is the one requested, or an error."""

import logging
from pathlib import Path
from typing import Any

import pytest

from cairn.api.load import load
from cairn.errors import ModelError
from cairn.inference import devices
from cairn.inference.devices import Device, candidates, parse_device
from cairn.inference.network import OnnxNetwork

ALL = [
    *("TensorrtExecutionProvider", "CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider"),
    *("OpenVINOExecutionProvider", "CPUExecutionProvider"),
]


class FakeOnnxruntime:
    """Providers of an onnxruntime that is not installed, and sessions that record how they are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, available: list[str], failing: tuple[str, ...] = ()) -> None:
        import onnxruntime

        self.requested: list[list[tuple[str, dict[str, Any]]]] = []
        session = onnxruntime.InferenceSession

        def make(path: str, options: Any, providers: list[tuple[str, dict[str, Any]]], enable_fallback: int) -> Any:
            self.requested.append(providers)
            assert enable_fallback == 0
            names = [name for name, _ in providers]
            if any(name in failing and name != "CUDAExecutionProvider" for name in names):
                raise RuntimeError("no such device")
            result = session(path, options, providers=["CPUExecutionProvider"])
            monkeypatch.setattr(result, "_providers", [name for name in names if name not in failing])
            return result

        monkeypatch.setattr("onnxruntime.get_available_providers", lambda: available)
        monkeypatch.setattr("onnxruntime.InferenceSession", make)


@pytest.fixture(autouse=True)
def messages_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    for once in (devices._warn_of_unused_card, devices.log_device, devices.warn_of_fallback):
        once.cache_clear()
    monkeypatch.setattr(devices, "has_nvidia_card", lambda: False)


@pytest.mark.parametrize(
    ("device", "name", "providers"),
    [
        ("cpu", "cpu", []),
        ("cuda", "cuda:0", [("CUDAExecutionProvider", {"device_id": 0})]),
        ("cuda:1", "cuda:1", [("CUDAExecutionProvider", {"device_id": 1})]),
        (
            "tensorrt:2",
            "tensorrt:2",
            [("TensorrtExecutionProvider", {"device_id": 2}), ("CUDAExecutionProvider", {"device_id": 2})],
        ),
        ("directml", "directml:0", [("DmlExecutionProvider", {"device_id": 0})]),
        ("coreml", "coreml", [("CoreMLExecutionProvider", {})]),
        ("openvino", "openvino", [("OpenVINOExecutionProvider", {})]),
        ("auto", "cuda:0", [("CUDAExecutionProvider", {"device_id": 0})]),
    ],
)
def test_device_is_mapped_to_providers(
    totem_model: Path, monkeypatch: pytest.MonkeyPatch, device: str, name: str, providers: list
) -> None:
    fake = FakeOnnxruntime(monkeypatch, ALL)
    assert load(totem_model, device=device, threads=1).device == name
    assert fake.requested == [[*providers, ("CPUExecutionProvider", {})]]


@pytest.mark.parametrize(
    ("device", "install"),
    [
        (
            "cuda",
            r"pip install 'cairn-pose\[gpu\]', then pip uninstall -y onnxruntime, then pip install .*onnxruntime-gpu",
        ),
        ("tensorrt", r"cairn-pose\[gpu\].*install TensorRT"),
        ("directml", "onnxruntime-directml"),
        ("coreml", "onnxruntime on macOS"),
        ("openvino", "onnxruntime-openvino"),
    ],
)
def test_absent_provider_raises_what_to_install(monkeypatch: pytest.MonkeyPatch, device: str, install: str) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    message = rf"device '{device}' needs \w+, which the installed onnxruntime lacks \(it has CPUExecutionProvider\): "
    with pytest.raises(ModelError, match=message + f".*{install}"):
        candidates(device)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA", "coreml:1", None, 0])
def test_unknown_device_lists_the_known_ones(device: Any) -> None:
    with pytest.raises(ModelError, match=r"device must be one of auto, cpu, cuda, tensorrt, .* such as cuda:1; got"):
        parse_device(device)


def test_auto_is_cuda_then_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ALL)
    assert candidates("auto") == (Device("cuda"), Device("cpu"))
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [*ALL[:1], *ALL[2:]])
    assert candidates("auto") == (Device("cpu"),)


@pytest.mark.parametrize("failing", ["CUDAExecutionProvider", "TensorrtExecutionProvider"])
def test_requested_device_never_falls_back_silently(
    totem_model: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """CUDA without its libraries is dropped by onnxruntime; other providers raise."""
    FakeOnnxruntime(monkeypatch, ALL, (failing,))
    device = "cuda" if failing.startswith("CUDA") else "tensorrt"
    with pytest.raises(ModelError, match=r"device 'cuda' cannot be used: its driver|can run on tensorrt:0 \(no such"):
        OnnxNetwork(totem_model, 1, device)


def test_auto_falls_back_to_the_cpu_with_one_warning(
    totem_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    FakeOnnxruntime(monkeypatch, ALL, ("CUDAExecutionProvider",))
    for _ in range(2):
        assert load(totem_model, threads=1).device == "cpu"
    assert [message for message in caplog.messages if message.startswith("cuda:0 cannot be used")] == caplog.messages
    assert len(caplog.messages) == 1


def test_unused_nvidia_card_is_one_warning_per_process(
    totem_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(devices, "has_nvidia_card", lambda: True)
    load(totem_model, device="cpu", threads=1)
    assert not caplog.messages
    for _ in range(2):
        load(totem_model, threads=1)
    (message,) = caplog.messages
    assert message.startswith("an NVIDIA card is present, but the installed onnxruntime supports the CPU alone: pip")


def test_nvidia_card_is_recognized_by_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    assert devices.has_nvidia_card()
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(Path, "exists", lambda path: path.name == "nvidia0")
    assert devices.has_nvidia_card()
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert not devices.has_nvidia_card()


def test_device_in_use_is_logged_once(totem_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cairn")
    devices.log_device.cache_clear()  # other tests loaded models in this process
    for _ in range(2):
        load(totem_model, device="cpu", threads=1)
    assert caplog.messages == ["inference runs on cpu"]
