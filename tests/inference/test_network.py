"""An .onnx file is opened, or raises one line that states why not."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from cairn.errors import ModelError
from cairn.inference.network import OnnxNetwork
from support.fake_network import SPEC, totems, write_totem_model


def test_network_returns_the_outputs_of_its_specification(totem_model: Path) -> None:
    network = OnnxNetwork(totem_model, threads=1)
    assert network.spec == SPEC
    maps = network(np.zeros((2, 3, 64, 96), np.float32))
    assert {name: values.shape for name, values in maps.items()} == {"heatmaps": (2, 3, 8, 12), "pafs": (2, 4, 8, 12)}
    assert not maps["heatmaps"].any()


def test_one_network_runs_on_images_of_many_sizes(totem_model: Path) -> None:
    network = OnnxNetwork(totem_model, threads=1)
    for height, width in ((64, 64), (96, 160), (32, 320)):
        image = totems((height, width), [(width // 2, height // 2)], length=10)
        maps = network(image.transpose(2, 0, 1)[None].astype(np.float32))
        green = maps["heatmaps"][0, 1]
        assert green.shape == (height // 8, width // 8)
        assert np.allclose(np.unravel_index(green.argmax(), green.shape), (height / 16, width / 16), atol=1)


def test_input_that_the_graph_rejects_raises_one_line(tmp_path: Path) -> None:
    network = OnnxNetwork(write_totem_model(tmp_path / "totems.onnx"), threads=1)
    with pytest.raises(ModelError, match=r"model totems, whose input is B x 3 x h x w, .* 40 x 64 pixels") as caught:
        network(np.zeros((1, 4, 64, 40), np.float32))  # four channels
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("threads", [-1, 257, 10**12])
def test_absurd_numbers_of_threads_raise(totem_model: Path, threads: int) -> None:
    with pytest.raises(ModelError, match=f"threads must be from 0, for all, to 256, got {threads}"):
        OnnxNetwork(totem_model, threads)


@pytest.mark.parametrize(("threads", "cores", "used"), [(0, 3, 3), (0, 1000, 256), (2, 8, 2), (5, 1, 5)])
def test_threads_are_at_most_the_cores_of_the_process_and_sleep_without_work(
    totem_model: Path, monkeypatch: pytest.MonkeyPatch, threads: int, cores: int, used: int
) -> None:
    """onnxruntime itself would start a thread on each core of the machine, whichever the process may use."""
    opened = []

    class Recorded(onnxruntime.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            opened.append(self)

    class Stopped(Exception):
        pass

    def stopped(*_: object, **__: object) -> None:
        raise Stopped

    monkeypatch.setattr("cairn.machine.available_cores", lambda: cores)
    monkeypatch.setattr(onnxruntime, "SessionOptions", Recorded)
    monkeypatch.setattr(onnxruntime, "InferenceSession", stopped)
    with pytest.raises(ModelError):
        OnnxNetwork(totem_model, threads)
    (options,) = opened
    assert options.intra_op_num_threads == used
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_files_that_are_not_cairn_models_raise(tmp_path: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    truncated = tmp_path / "truncated.onnx"
    whole = write_totem_model(tmp_path / "whole.onnx").read_bytes()
    truncated.write_bytes(whole[: len(whole) // 2])
    foreign = write_totem_model(tmp_path / "foreign.onnx", spec=None)
    promising = write_totem_model(tmp_path / "promising.onnx", SPEC.model_copy(update={"outputs": ("masks",)}))
    cases = {
        tmp_path / "absent.onnx": "no model file",
        tmp_path: "no model file",
        text: "is not an ONNX model",
        truncated: "is not an ONNX model",
        foreign: "not a Cairn model.*cairn export",
        promising: "names outputs masks",
    }
    for path, message in cases.items():
        with pytest.raises(ModelError, match=message) as caught:
            OnnxNetwork(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
