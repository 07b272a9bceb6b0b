"""The folder of a web page: static files that any web server can serve, without other places on the network."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from cairn.errors import ModelError, OutputError
from cairn.training.exporting.web.runtime import runtime_files

PAGE = ("index.html", "app.js", "worker.js", "pose.js", "package.json", "LICENSES.txt")
"""The files of the page, beside this module."""


class WebFolder:
    """A folder to write, and the files of onnxruntime-web for it."""

    def __init__(self, target: Path, runtime: Path | None) -> None:
        """Checks that the folder is new, and gets onnxruntime-web.

        Args:
            target: A path that does not exist, or an empty folder.
            runtime: Folder of the npm package onnxruntime-web; None: npm downloads it.

        Raises:
            OutputError: The folder is not new.
            CairnError: onnxruntime-web cannot be found or downloaded.
        """
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise OutputError(f"{target} already exists: give the name of a new folder")
        self.target = target
        self.runtime = runtime_files(runtime)

    def write(self, model: Path, description: dict[str, Any]) -> float:
        """Writes all files or none, and returns their size in megabytes.

        Args:
            model: The decoded model, whose input includes the size.
            description: What it says about itself.

        Raises:
            ModelError: The assembly of the model is not one of the page.
            OutputError: The folder cannot be written.
        """
        if (matching := description["assembly"].get("matching", "greedy")) not in ("exchange", "greedy"):
            raise ModelError(
                f"a page matches limbs by exchange or greedy, and model {description['name']} by {matching}: export "
                "its run with --set decode.matching=exchange"
            )
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            beside = self.target.with_name(f".cairn.{os.getpid()}.{secrets.token_hex(4)}.partial")
            beside.mkdir()
            try:
                self._fill(beside, model, description)
                if self.target.is_dir():
                    self.target.rmdir()
                beside.rename(self.target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.target}: {error.strerror or error}") from None
        return sum(path.stat().st_size for path in self.target.rglob("*") if path.is_file()) / 1e6

    def _fill(self, folder: Path, model: Path, description: dict[str, Any]) -> None:
        page = resources.files("cairn.training.exporting.web") / "page"
        for name in PAGE:
            (folder / name).write_bytes((page / name).read_bytes())
        shutil.copy(model, folder / "model.onnx")
        (folder / "model.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
        (folder / "runtime").mkdir()
        for name, data in self.runtime.items():
            (folder / "runtime" / name).write_bytes(data)
