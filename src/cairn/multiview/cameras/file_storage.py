"""OpenCV's FileStorage: YAML with matrices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.cameras.camera_file import text_of

SUFFIXES = (".yml", ".yaml")


class Storage:
    """A file that is open for reading.

    Args:
        path: The file.

    Raises:
        CameraError: The file cannot be read, or is no YAML of OpenCV.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        self.path = path
        text = text_of(path)
        if not text.startswith("%YAML"):  # OpenCV demands it; ROS writes none
            text = f"%YAML:1.0\n---\n{text}"
        text = re.sub(r"^%YAML[ :].*", "%YAML:1.0", text, count=1)
        try:
            self._file = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
            self._root = self._file.root()
            self.keys = tuple(self._root.keys()) if self._root.isMap() else ()
        except (cv2.error, SystemError) as error:
            reason = " ".join(str(getattr(error, "err", "") or "it cannot be parsed").split())
            raise CameraError(f"{path} is no YAML of OpenCV: {reason}") from None

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def array(self, *keys: str) -> NDArray[np.float64] | None:
        """Returns the matrix under the first key that the file has: OpenCV's, or a list; None without one."""
        for key in keys:
            if key in self:
                return _array(self._root.getNode(key), f"{self.path}: {key}")
        return None

    def required(self, *keys: str) -> NDArray[np.float64]:
        """Returns the matrix under the first key that the file has.

        Raises:
            CameraError: It has none of them.
        """
        found = self.array(*keys)
        if found is None:
            raise CameraError(f"{self.path} has no {' or '.join(keys)}")
        return found

    def strings(self, key: str) -> list[str]:
        """Returns a list of names, or the one name, under a key; empty without it."""
        if key not in self:
            return []
        node = self._root.getNode(key)
        return [_string(node.at(i)) for i in range(node.size())] if node.isSeq() else [_string(node)]

    def number(self, *keys: str) -> float | None:
        """Returns the number under the first key that the file has; None without one."""
        for key in keys:
            if key in self:
                node = self._root.getNode(key)
                return float(node.real()) if node.isReal() or node.isInt() else None
        return None


def matrix(name: str, values: Any) -> str:
    """Returns a matrix of two dimensions as FileStorage has it, with all digits."""
    array = np.atleast_2d(np.asarray(values, np.float64))
    numbers = ", ".join(repr(value) for value in array.reshape(-1).tolist())
    rows, columns = array.shape
    return f"{name}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {numbers} ]\n"


def _string(node: Any) -> str:
    if node.isString():
        return str(node.string())
    value = float(node.real())
    return str(int(value)) if node.isInt() or value.is_integer() else str(value)


def _array(node: Any, name: str) -> NDArray[np.float64]:
    import cv2

    if "data" in (keys := node.keys() if node.isMap() else ()):
        data = node.getNode("data")
        if data.isSeq():
            try:
                found = node.mat()
            except cv2.error:
                found = None
            if found is not None and np.size(found):
                return np.asarray(found, np.float64)
            shape = [int(node.getNode(side).real()) for side in ("rows", "cols") if side in keys]
            values = _list(data)
            return values.reshape(shape) if len(shape) == 2 and np.prod(shape) == values.size else values
    if node.isSeq():
        return _list(node)
    raise CameraError(f"{name}: expected a matrix or a list of numbers")


def _list(node: Any) -> NDArray[np.float64]:
    items = [node.at(i) for i in range(node.size())]
    if any(item.isSeq() for item in items):
        return np.array([_list(item) for item in items])
    return np.array([item.real() for item in items], np.float64)
