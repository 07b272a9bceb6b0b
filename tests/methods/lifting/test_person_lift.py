"""The bundled `person-lift` on held-out motion capture, beside nearest neighbors: the data set `motion` in .data."""

import numpy as np
import pytest

from accuracy.motion_coco import FACE, convert
from cairn.inference.lifter import Lifter
from cairn.methods.lifting.recipe import Recipe
from cairn.methods.lifting.training import Views, errors, read_data
from cairn.training.recipe_tables import check_recipe, read_recipe
from lifting import neighbors
from support import DATA, ROOT

pytestmark = pytest.mark.data

VIEWS = 1  # cameras that see each training pose
SLICE = 9  # every ninth pose


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Views:
    if not (DATA / "motion" / "train.npz").is_file():
        pytest.skip(f"no data set at {DATA / 'motion'}")
    tables = read_recipe(ROOT / "recipes" / "person-lift.toml")
    files = convert(DATA / "motion", tmp_path_factory.mktemp("motion"))
    tables["data"] = {split: [{"path": str(path)}] for split, path in files.items()}
    return read_data(check_recipe(Recipe, tables))


@pytest.mark.parametrize("kind", ["exact", "noisy", "without a face"])
def test_person_lift_is_far_better_than_the_nearest_training_pose(data: Views, kind: str) -> None:
    view, noisy = data.measured
    keypoints, target = (noisy if kind == "noisy" else view.keypoints)[::SLICE].copy(), view.target[::SLICE].copy()
    if kind == "without a face":  # as recordings in the joints of Human3.6M are
        face = [data.skeleton.index(joint) for joint in FACE]
        keypoints[:, face], target[:, face] = 0, np.nan
    lifted = errors(Lifter("person-lift", threads=1).lift(keypoints[..., :2], keypoints[..., 2] > 0), target)
    nearest = errors(neighbors(data, keypoints, VIEWS), target)
    for metric in ("MPJPE", "PA-MPJPE"):
        assert lifted[metric] < 0.75 * nearest[metric]
