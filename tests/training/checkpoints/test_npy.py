"""Weights in a numpy file of one dictionary: read without running what a pickle may name."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.errors import ModelError
from cairn.training.checkpoints.reading import read_weights

LAYERS: dict[str, Any] = {
    "conv1_1": {
        "weights": np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2),
        "biases": np.array([0.5, -1.0], np.float32),
    },
    "conv1_2": {"weights": np.ones((1, 1, 2, 2), np.float64), "biases": np.zeros(2, np.float64)},
}


def saved(path: Path, content: Any) -> Path:
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


def check(path: Path) -> None:
    weights = read_weights(path).weights
    assert list(weights) == ["conv1_1/weights", "conv1_1/biases", "conv1_2/weights", "conv1_2/biases"]
    for layer, arrays in LAYERS.items():
        for leaf, values in arrays.items():
            assert np.array_equal(weights[f"{layer}/{leaf}"].numpy(), values.astype(np.float32))


@pytest.mark.parametrize(
    "content",
    [
        LAYERS,
        OrderedDict(LAYERS),
        {layer: [arrays["weights"], arrays["biases"]] for layer, arrays in LAYERS.items()},
        {layer.encode(): {leaf.encode(): v for leaf, v in arrays.items()} for layer, arrays in LAYERS.items()},
        LAYERS | {"notes": "made by a test", "number": {"steps": 3}},
    ],
    ids=["dictionary", "ordered", "lists", "bytes", "with notes"],
)
def test_a_dictionary_of_layers_is_read(tmp_path: Path, content: Any) -> None:
    check(saved(tmp_path / "pose.npy", content))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_of_pickle_is_read(tmp_path: Path, protocol: int) -> None:
    header = tmp_path / "header.npy"
    saved(header, None)
    content = header.read_bytes()
    start = content.index(b"\n") + 1
    body = pickle.dumps(np.array(LAYERS, dtype=object), protocol=protocol)
    (tmp_path / "pose.npy").write_bytes(content[:start] + body)
    check(tmp_path / "pose.npy")


class Code:
    """What a hostile file would hold."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (os.system, ("touch ran",)),
        (eval, ("open('ran', 'w')",)),
        (getattr, ("text", "upper")),
        (np.load, ("other.npy",)),
        (np.frombuffer, (b"abc", "u1")),
        (pickle.loads, (b"N.",)),
    ],
)
def test_a_file_that_could_run_code_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Any, arguments: tuple[Any, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "evil.npy", LAYERS | {"conv9": {"weights": Code(call, *arguments)}})
    with pytest.raises(ModelError, match=r"evil\.npy contains more than weights \(.+\), which could run code") as error:
        read_weights(tmp_path / "evil.npy")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_one_line(tmp_path: Path, share: float) -> None:
    content = saved(tmp_path / "pose.npy", LAYERS).read_bytes()
    (tmp_path / "half.npy").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"half\.npy is truncated, or not an \.npy file") as error:
        read_weights(tmp_path / "half.npy")
    assert "\n" not in str(error.value)


def test_other_contents_are_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "numbers.npy", np.zeros((3, 4)))
    saved(tmp_path / "list.npy", [1, 2])
    saved(tmp_path / "words.npy", {"conv1_1": {"weights": "none"}})
    (tmp_path / "text.npy").write_text("weights")
    for name, message in (
        ("numbers.npy", "has no weights by name"),
        ("list.npy", "has no weights by name"),
        ("words.npy", "has no weights by name"),
        ("text.npy", "not an .npy file of weights"),
        ("absent.npy", "no checkpoint at"),
    ):
        with pytest.raises(ModelError, match=message) as error:
            read_weights(tmp_path / name)
        assert "\n" not in str(error.value)
