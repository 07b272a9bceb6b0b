"""Loading a model for inference."""

from __future__ import annotations

from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cairn.errors import CairnError, ModelError

if TYPE_CHECKING:
    from cairn.inference.network import Network
    from cairn.inference.predictor import Predictor
    from cairn.inference.resolution import Resolution


def load(
    model: str | Path = "person",
    *,
    device: str = "auto",
    threads: int = 0,
    size: int | Resolution | None = None,
    refine: bool | str | Path | None = None,
    hands: str | Path | None = None,
    face: str | Path | None = None,
    **decode: Any,
) -> Predictor:
    """Loads a model; call the predictor with an image, or use its `batch` and `stream`.

    Args:
        model: Name of a bundled model, path of an exported .onnx file, or folder of a training run.
        device: "auto" (CUDA where it works, else the CPU), "cpu", "cuda", "cuda:1", "tensorrt", "directml", "coreml"
            or "openvino".
        threads: Number of CPU cores for one image; 0 is all.
        size: Longest side of the network input in pixels, or a `Resolution`; None is the model's own.
        refine: Predict the keypoints of each detected instance again, in a crop: with the bundled model that is
            registered for `model` (True; "person-refine" for models of people), or with another model of one instance
            per crop. None: with the refiner that `cairn.train` trained beside the model of a run, where it is better;
            and with "person" and "person-single" in single images, not in videos. "person" then finds clear people at
            a lower resolution; of a model of one instance per crop, the joints that both models have are refined.
        hands: Model of one hand; adds the hands of each person.
        face: Model of one face; adds the face of each person.
        **decode: Decode settings of the method, which override those of the model, such as `peak_threshold=0.1`.

    Raises:
        ModelError: There is no such model, it cannot run on the device, its task does not match, or a setting is
            unknown.
    """
    from concurrent.futures import ThreadPoolExecutor

    from cairn.inference import zoo
    from cairn.inference.network import OnnxNetwork
    from cairn.inference.refine import RefinedPredictor
    from cairn.inference.resolution import Resolution
    from cairn.inference.shared_joints import SharedJointsPredictor

    name, cores, side = cast("tuple[Any, Any, Any]", (model, threads, size))
    if not isinstance(name, str | PathLike):
        kind = type(name).__name__
        raise ModelError(f"expected the name of a bundled model, an .onnx file or a run folder, got {kind}")
    if not isinstance(cores, Integral):
        raise ModelError(f"threads must be a number of CPU cores, got {threads!r}")
    if not isinstance(side, Integral | Resolution | None):
        raise ModelError(f"size must be a number of pixels or a cairn.Resolution, got {size!r}")
    if not isinstance(refine, bool | str | PathLike | None) or refine == "":
        raise ModelError(f"refine must be True, False, None or a model of one instance per crop, got {refine!r:.40}")
    file, refiner = zoo.model_file(model), zoo.refiner_to_use(model, refine)
    with ThreadPoolExecutor(1) as loading:  # at the same time: onnxruntime loads without the interpreter's lock
        later = loading.submit(_load_refiner, refiner, model, refine is None, device, threads) if refiner else None
        network = OnnxNetwork(file, threads, device)
        predictor = _predictor(network, size, decode)
        crops = later.result() if later else None
    images = zoo.image_refinement(model) if refine is None else None
    plain = predictor if images else None
    if images:
        predictor = _predictor(network, images.resolution(size), decode)
    if crops is not None and predictor.spec.task == "crop":
        predictor = SharedJointsPredictor(predictor, crops, plain)
    elif crops is not None:
        predictor = RefinedPredictor(predictor, crops, images.min_score if images else 0.0, plain)
    if hands is None and face is None:
        return predictor
    from cairn.inference.whole_body import WholeBodyPredictor

    parts = [None if part is None else _load_one(part, device, threads) for part in (hands, face)]
    return WholeBodyPredictor(predictor, *parts)


def resolution(size: int | None, net: str | None, scales: int | None, gap: float) -> int | Resolution | None:
    """Returns the input resolution, as `load` takes it, of options as the command line has them.

    Args:
        size: Longest side in pixels.
        net: WxH, such as "656x368" or "-1x368".
        scales: Number of test-time scales.
        gap: Difference between two scales.

    Raises:
        CairnError: The options contradict each other.
    """
    from cairn.inference.resolution import DEFAULT_GAP, Resolution

    if scales in (None, 1) and gap != DEFAULT_GAP:
        raise CairnError("scale-gap is the difference between scales: set scales to 2 or more")
    if size is not None and net is not None:
        raise CairnError("size and net-resolution both set the input size: give one of them")
    if net is None and scales is None:
        return size
    shape = Resolution(longest=size) if net is None else Resolution.parse(net)
    return Resolution(shape.longest, shape.width, shape.height, scales, gap)


def _load_refiner(refiner: str | Path, model: str | Path, by_default: bool, device: str, threads: int) -> Predictor:
    """Loads the refiner of a model; a bundled one that the user asks for has the flip test."""
    from cairn.inference.zoo import is_registered

    return _load_one(refiner, device, threads, flip=not by_default and is_registered(refiner, model))


def _load_one(model: str | Path, device: str, threads: int, flip: bool = False) -> Predictor:
    from cairn.inference.network import OnnxNetwork
    from cairn.inference.zoo import model_file

    return _predictor(OnnxNetwork(model_file(model), threads, device), None, {"flip": True} if flip else {})


def _predictor(network: Network, size: int | Resolution | None, decode: dict[str, Any]) -> Predictor:
    from cairn.methods import get_method

    predictor: Predictor = get_method(network.spec.method).predictor(network, size=size, **decode)
    return predictor
