"""Settings of the server."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from cairn import machine
from cairn.errors import CairnError

MAX_WORKERS = 64


@dataclass(frozen=True)
class Limits:
    """What clients may send, and how long they may take.

    Attributes:
        image_bytes: Bytes of one image.
        image_pixels: Pixels of one image or frame.
        images: Images of one request.
        queue: Images that wait for a worker, of all requests together. More are answered by 429.
        uploads: Requests whose body is read at the same time. More are answered by 429.
        upload_bytes: Bytes of the images of these requests together. More are answered by 429.
        video_bytes: Bytes of one video.
        video_frames: Frames of one video.
        label_bytes: Bytes of a label file that is imported into a project.
        open_jobs: Jobs that wait or run. More are answered by 429.
        stored_jobs: Jobs whose results are kept, in addition. More are answered by 429 until some are deleted.
        streams: WebSocket streams at the same time.
        request_seconds: Seconds from the last byte of a request to its answer.
        stall_seconds: Seconds in which some bytes of a request must arrive.
        body_seconds: Seconds for the body of a request with images.
        idle_seconds: Seconds for which a stream may send nothing.
    """

    image_bytes: int = 32_000_000
    image_pixels: int = 50_000_000
    images: int = 32
    queue: int = 64
    uploads: int = 128
    upload_bytes: int = 1_000_000_000
    video_bytes: int = 2_000_000_000
    video_frames: int = 200_000
    label_bytes: int = 100_000_000
    open_jobs: int = 16
    stored_jobs: int = 1000
    streams: int = 8
    request_seconds: float = 60.0
    stall_seconds: float = 20.0
    body_seconds: float = 120.0
    idle_seconds: float = 120.0

    def __post_init__(self) -> None:
        """Raises CairnError for a limit that is not positive."""
        for name in self.__dataclass_fields__:
            if not 0 < getattr(self, name) < math.inf:
                raise CairnError(f"the limit {name} must be a positive number, got {getattr(self, name)}")

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Limits:
        """Returns the limits of entries NAME=VALUE, such as queue=128; others keep their defaults.

        Raises:
            CairnError: A name is unknown, or a value is no positive number.
        """
        kinds = {each.name: float if isinstance(each.default, float) else int for each in fields(cls)}
        values: dict[str, float] = {}
        for entry in entries:
            name, _, text = entry.partition("=")
            if name not in kinds:
                raise CairnError(f"unknown limit {name!r}: expected NAME=VALUE, of {', '.join(kinds)}")
            try:
                values[name] = kinds[name](text)
            except ValueError:
                raise CairnError(f"the limit {name} must be a positive number, got {text!r}") from None
        return cls(**values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        models: Folder of the models that are served beside the bundled ones: .onnx files and run folders.
        data: Folder of everything that the server writes.
        labels: Folder of images to label; it stays as it is.
        workers: Number of processes that run models; 0 is one for each CPU core.
        device: Device of the models; see `cairn.load`.
        token: Token that requests must have; None needs none.
        hosts: Names under which the server is reached, beside its address: those of a proxy.
        batch: Maximum number of images that a worker takes at once.
        batch_seconds: Seconds for which the first image of a batch waits for others.
        limits: Limits on requests.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    models: Path | None = None
    data: Path = Path("cairn-data")
    labels: Path | None = None
    workers: int = 0
    device: str = "auto"
    token: str | None = None
    hosts: tuple[str, ...] = ()
    batch: int = 8
    batch_seconds: float = 0.003
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raises CairnError for an invalid value."""
        if not 0 <= self.port < 65536:
            raise CairnError(f"port must be from 0 to 65535, got {self.port}")
        if not 0 <= self.workers <= MAX_WORKERS:
            raise CairnError(f"workers must be from 0, for one per CPU core, to {MAX_WORKERS}, got {self.workers}")
        if self.models is not None and not Path(self.models).is_dir():
            raise CairnError(f"no folder of models at {self.models}")
        if self.labels is not None and not Path(self.labels).is_dir():
            raise CairnError(f"no folder of images at {self.labels}")
        if self.token is not None and not (len(self.token) >= 16 and self.token.isascii() and self.token.isprintable()):
            raise CairnError(
                "the token must be 16 or more printable ASCII characters, such as of `openssl rand -hex 16`"
            )
        if not self.is_loopback and self.token is None:
            raise CairnError(f"an address other than the loopback ({self.host}) needs a token")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def processes(self) -> int:
        """Number of processes that run models."""
        return self.workers or machine.available_cores()

    @property
    def threads(self) -> int:
        """Number of CPU cores for each of them."""
        return max(1, machine.available_cores() // self.processes)

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Folders of models: that of the user, and that of the runs that are trained in the web app."""
        runs = Path(self.data) / "runs"
        return (runs,) if self.models is None else (Path(self.models), runs)
