"""Trains the PAFs of network.kind "movenet" on features in a cache, on a CPU.

The published part of the network is frozen, so that its maps are computed once for each crop. Training then needs 20 ms
of one core per crop instead of 60. Joints and people that the labels lack are taken from MoveNet's own predictions.

    python benchmarks/accuracy/cached_fields.py MOVENET RECIPE CACHE OUT.onnx [--crops 3500] [--minutes 45]

MOVENET is the folder of the npm package's models, RECIPE such as recipes/person-movenet-fields.toml; CACHE (0.9 MB per
crop) can be deleted afterwards.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
from movenet import COCO, MoveNet, People, decode, distinct, mean_confidence

from cairn.datasets.labels import LabeledImage
from cairn.media.images import read_image
from cairn.methods.openpose.movenet import HEATMAPS, VECTORS, MoveNetOpenPose
from cairn.methods.openpose.recipe import Recipe
from cairn.methods.openpose.training import OpenPoseModule, random_square, supervised_cells
from cairn.ops.pafs import render_pafs
from cairn.structures.geometry import field_affine, image_to_field
from cairn.structures.skeleton import Skeleton
from cairn.training.backbones.movenet import SIZES
from cairn.training.checkpoints.backbone_file import read_backbone
from cairn.training.data.augmentation import moved, random_view, recolored
from cairn.training.data.sources import read_data
from cairn.training.exporting.onnx_file import export
from cairn.training.recipe_tables import read_recipe

BATCH, WARM_UP, MAX_NORM = 32, 50, 300.0
CENTER, CONFIDENT, PERSON, JOINTS, SAME = 0.1, 0.25, 0.15, 5, 0.3
"""Of MoveNet's people: least center, least confidence of a joint; least score and number of joints of a person that
the labels lack; OKS of a labeled one."""

Crop = tuple[list[NDArray[np.float16]], NDArray[np.float16], NDArray[np.bool_]]


def features(network: MoveNetOpenPose, image: Tensor) -> list[Tensor]:
    """What `FieldStage` takes: four maps of the pyramid, two inner ones, heatmaps and vectors."""
    inner, pyramid = network.backbone.all_maps(image)
    finest = pyramid[0] * SIZES[0]
    vectors = functional.avg_pool2d(network.heads["vectors"](finest), 2) * VECTORS
    return [*pyramid, *inner[1:3], network.heads["heatmaps"](finest).sigmoid() * HEATMAPS, vectors]


def people_of(published: MoveNet, image: Tensor) -> People:
    """MoveNet's people in a crop, keypoints in Cairn's cells of stride 4."""
    center, heatmaps, regression, offsets = published(image)
    maps = [each[0].numpy().copy() for each in (center.sigmoid(), heatmaps.sigmoid(), regression, offsets)]
    scores = maps[0][0]
    highest = np.max([np.roll(scores, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)], axis=0)
    people = decode(maps, np.argwhere((scores == highest) & (scores > CENTER)))
    peaks = np.argwhere((scores == highest) & (scores > CENTER))
    people = replace(people, scores=(scores[tuple(peaks.T)] * mean_confidence(people.confidence)).astype(np.float32))
    people = distinct(people)
    return replace(people, keypoints=people.keypoints - np.float32(0.375))  # cell i is at pixel 4i, not 4i + 1.5


def completed(keypoints: NDArray[np.float32], people: People) -> NDArray[np.float32]:
    """Labeled keypoints (P, 17, 2), NaN where missing, with the joints and people that MoveNet adds."""
    keypoints, added, used = keypoints.copy(), [], set()
    variance = (2 * np.array(COCO.sigmas)) ** 2
    for points, confidence, score in zip(people.keypoints, people.confidence, people.scores, strict=True):
        good = confidence > CONFIDENT
        area = 0.5 * max(float(np.ptp(points, axis=0).max()), 4.0) ** 2
        terms = np.exp(-((keypoints - points) ** 2).sum(-1) / (2 * area * variance))
        known = np.isfinite(terms).any(1)
        oks = np.where(known, np.nanmean(np.where(known[:, None], terms, 0), axis=1), 0)
        row = int(oks.argmax()) if len(oks) else -1
        if row >= 0 and oks[row] > SAME:
            missing = np.isnan(keypoints[row, :, 0]) & good & (row not in used)
            used.add(row)
            keypoints[row, missing] = points[missing]
        elif score > PERSON and good.sum() >= JOINTS:
            added.append(np.where(good[:, None], points, np.nan))
    return np.concatenate([keypoints, np.array(added, np.float32).reshape(-1, 17, 2)])


def crop_of(
    module: OpenPoseModule, published: MoveNet, image: LabeledImage, recipe: Recipe, rng: np.random.Generator
) -> Crop:
    """Features, PAFs (2L, h, w) and mask (h, w) of a random crop, the last two of stride 8."""
    side = recipe.input.size
    pixels, annotation = read_image(image.path), image.annotation
    center, square = random_square(annotation, pixels.shape[:2], recipe.input, rng)
    view = random_view(recipe.augmentation, rng, center, square, (side, side))
    labels = moved(annotation, view, module.skeleton)
    crop = recolored(view.affine.warp(pixels, (side, side)), recipe.augmentation, rng)
    network: Any = module.network
    with torch.inference_mode():
        batch = torch.from_numpy(crop.transpose(2, 0, 1).copy())[None].float()
        maps = [each[0].half().numpy() for each in features(network, batch)]
        people = people_of(published, batch)
    keypoints = np.where(labels.visibility[..., None] > 0, labels.keypoints, np.nan).astype(np.float32)
    keypoints = completed(image_to_field(keypoints, 4), people)
    cells = side // 8, side // 8
    pafs = render_pafs(image_to_field(keypoints, 2), module.skeleton.limbs, cells, recipe.targets.width / 2)
    mask = supervised_cells(annotation, view.affine.then(field_affine(8).inverse()), cells)
    return maps, pafs.astype(np.float16), mask


def fill(cache: Path, count: int, crops: Any) -> None:
    """Writes `count` crops into one .npy file per kind of map."""
    cache.mkdir(parents=True, exist_ok=True)
    files: list[Any] = []
    begin = time.time()
    for row in range(count):
        maps, pafs, mask = next(crops)
        arrays = [*maps, pafs, mask]
        for i, array in enumerate(arrays[len(files) :], len(files)):
            shape = (count, *array.shape)
            files.append(np.lib.format.open_memmap(cache / f"{i}.npy", "w+", array.dtype, shape))
        for file, array in zip(files, arrays, strict=True):
            file[row] = array
        if row % 200 == 199:
            print(f"{row + 1} of {count} crops, {time.time() - begin:.0f} s", flush=True)


def fit(stage: nn.Module, cache: Path, recipe: Recipe, minutes: float) -> None:
    """Trains the PAFs by the loss of the recipe, in bf16; the moving average of the weights remains."""
    *maps, pafs, masks = (np.load(cache / f"{i}.npy", mmap_mode="r") for i in range(10))
    rng, begin, step = np.random.default_rng(recipe.seed), time.time(), 0
    settings = recipe.optimizer
    optimizer = torch.optim.AdamW(stage.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    average = {name: value.clone().float() for name, value in stage.state_dict().items()}
    while (share := (time.time() - begin) / (60 * minutes)) < 1:
        rows = np.sort(rng.choice(len(masks), min(BATCH, len(masks)), replace=False))
        p4, p8, p16, p32, m8, m16, heatmaps, vectors = (torch.from_numpy(each[rows]).bfloat16() for each in maps)
        target = torch.from_numpy(pafs[rows]).float()
        weight = torch.from_numpy(masks[rows])[:, None].float()
        length = torch.hypot(target[:, 0::2], target[:, 1::2]).repeat_interleave(2, dim=1)
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / WARM_UP)
            group["lr"] = settings.learning_rate * warm * (1 + math.cos(math.pi * share)) / 2
        with torch.autocast("cpu", torch.bfloat16):
            predicted = stage((m8, m16), [p4, p8, p16, p32], heatmaps, vectors).float()
        weight = weight * (1 + recipe.loss.foreground * length)
        loss = (weight * (predicted - target).square()).sum() / len(rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(stage.parameters(), MAX_NORM)
        optimizer.step()
        step += 1
        kept = min(recipe.optimizer.ema, step / (step + 20))
        for name, value in stage.state_dict().items():
            average[name].lerp_(value.detach().float(), 1 - kept)
        if step % 25 == 0:
            print(f"{step * BATCH} crops, {60 * minutes * share:.0f} s, loss {float(loss.detach()):.0f}", flush=True)
    stage.load_state_dict(average)


def shuffled(images: list[LabeledImage], skeleton: Skeleton, seed: int) -> Any:
    """Yields images in random order, endlessly, each with a generator of its own."""
    assert skeleton.joints == COCO.joints
    number = 0
    while True:
        for index in np.random.default_rng(seed + number).permutation(len(images)):
            yield images[index], np.random.default_rng((seed, number))
            number += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("movenet", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crops", type=int, default=3500)
    parser.add_argument("--minutes", type=float, default=45)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe.model_validate(read_recipe(args.recipe))
    skeleton, sources, val = read_data(recipe, args.cache)
    torch.manual_seed(recipe.seed)
    module = OpenPoseModule(recipe, skeleton, val)
    network: Any = module.network
    weights = read_backbone(str(args.movenet / "movenet-multipose.json"))
    weights.load(network.backbone, None)
    weights.load_heads(network.heads)
    network.eval()
    published = MoveNet(args.movenet / "movenet-multipose.json")
    images = [image for labels, source in sources for image in labels for _ in range(source.repeat)]
    crops = (crop_of(module, published, image, recipe, rng) for image, rng in shuffled(images, skeleton, recipe.seed))
    fill(args.cache, args.crops, crops)
    fit(network.paf_stages[0].train(), args.cache, recipe, args.minutes)
    export(module.export_module(), module.spec(), args.out)


if __name__ == "__main__":
    main()
