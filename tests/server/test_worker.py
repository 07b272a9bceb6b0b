"""A worker keeps models in memory, as long as their files are the same."""

import os
from pathlib import Path

from cairn.server.worker import Options, Worker
from support.fake_network import write_totem_model


def test_a_model_is_loaded_again_where_its_file_has_changed(tmp_path: Path) -> None:
    path = write_totem_model(tmp_path / "totem.onnx")
    worker = Worker(Options("cpu", 1, 10_000))
    first = worker.model(str(path), None)
    assert worker.model(str(path), None) is first
    os.utime(path, ns=(1, 1))
    assert worker.model(str(path), None) is not first
