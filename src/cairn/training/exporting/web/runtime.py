"""onnxruntime-web, the build of onnxruntime for browsers, from a folder or by npm.

Its WebAssembly file has 14 MB, half as much as all bundled models, so it is no part of Cairn's wheel.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

from cairn.errors import CairnError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
"""The npm package, and the version that pages are tested with."""

INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of the package of that version, as npm states it."""

FILES = {"ort.wasm.bundle.min.mjs": "ort.js", "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm"}
"""The files that a page loads, of the folder dist of the package, and their names there: many servers know no .mjs."""

TIMEOUT = 600
"""Seconds after which a download is given up."""


def runtime_files(folder: Path | None) -> dict[str, bytes]:
    """Returns the files of onnxruntime-web by name.

    Args:
        folder: The folder of the package, or its folder dist. None: npm downloads the package.

    Raises:
        CairnError: The files are not in the folder, or npm is missing or fails.
    """
    if folder is None:
        return _downloaded()
    for place in (folder, folder / "dist"):
        if all((place / name).is_file() for name in FILES):
            return {own: (place / name).read_bytes() for name, own in FILES.items()}
    raise CairnError(
        f"no {' and '.join(FILES)} in {folder}: expected the folder of the npm package {PACKAGE} {VERSION}"
    )


def _downloaded() -> dict[str, bytes]:
    npm = shutil.which("npm")
    wanted = f"{PACKAGE}@{VERSION}"
    if npm is None:
        raise CairnError(
            f"a web page needs {wanted}, which npm downloads, and npm is not installed: install Node.js, or give the "
            "folder of the package with --runtime"
        )
    with TemporaryDirectory() as folder:
        command = [npm, "pack", wanted, "--silent", "--pack-destination", folder]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=TIMEOUT)
            (package,) = Path(folder).glob("*.tgz")
            data = package.read_bytes()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise CairnError(
                f"npm could not download {wanted} ({_reason(error)}): give the folder of the package with --runtime"
            ) from None
        if b64encode(hashlib.sha512(data).digest()).decode() != INTEGRITY:
            raise CairnError(f"npm downloaded a {wanted} with another SHA-512 than expected: it was not used")
        with tarfile.open(package) as archive:
            return {own: _member(archive, f"package/dist/{name}") for name, own in FILES.items()}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {TIMEOUT} s"
    output = getattr(error, "stderr", None) or str(error)
    return " ".join(output.split())[:200] or "without a message"
