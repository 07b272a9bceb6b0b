"""What several tests share."""

from pathlib import Path

import pytest

from fake_network import write_totem_model


@pytest.fixture(scope="session")
def totem_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real .onnx file that finds totems (see fake_network)."""
    return write_totem_model(tmp_path_factory.mktemp("models") / "totems.onnx")
