"""A specification says everything in one line of JSON, and comes back from it; what is no specification is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.structures.skeleton import load_skeleton, skeleton_names
from support.fake_network import SPEC


@given(
    name=st.text(min_size=1, max_size=20),
    skeleton=st.sampled_from(skeleton_names()),
    decode=st.dictionaries(st.text(max_size=9), st.one_of(st.booleans(), st.integers(-99, 99), st.floats(0, 1))),
    metrics=st.dictionaries(st.text(max_size=9), st.floats(0, 100)),
)
def test_a_written_specification_is_read_back(name: str, skeleton: str, decode: dict, metrics: dict) -> None:
    spec = ModelSpec(
        name=name,
        method="openpose",
        task="multi_instance",
        skeleton=load_skeleton(skeleton),
        input=InputSpec(resize="letterbox", size=368),
        stride=8,
        outputs=("heatmaps", "pafs"),
        decode=decode,
        metrics=metrics,
        provenance={"steps": 100, "commit": "abc"},
        sources=("coco-people",),
    )
    back = ModelSpec.from_json(spec.to_json())
    assert back == spec
    assert back.skeleton == load_skeleton(skeleton)
    # JSON has no other types than these, and a threshold must not change its own on the way
    assert {key: type(value) for key, value in back.decode.items()} == {k: type(v) for k, v in decode.items()}


def changed(**values: object) -> str:
    return json.dumps({**json.loads(SPEC.to_json()), **values})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not JSON", "cannot be read"),
        ("[]", r"cannot be read \(Input should be"),
        (changed(skeleton="coco17"), r"\(skeleton: a skeleton is a table .*, got 'coco17'"),
        (changed(format=3), "format"),
        (changed(stride=0), "stride"),
        (changed(color="red"), "color"),
        (changed(skeleton={"name": "x", "joints": []}), "skeleton: .*at least one joint"),
        (changed(input={"resize": "stretch", "size": 10}), r"input\.resize"),
    ],
)
def test_invalid_specifications_are_one_line_errors(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        ModelSpec.from_json(text)
    assert "\n" not in str(caught.value)
