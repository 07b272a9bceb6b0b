"""Reading of caffemodels: valid protobuf is read, everything else is an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cairn.errors import ModelError
from cairn.training.checkpoints.caffe import read_caffemodel
from support.caffe_files import Blobs, caffemodel, message, number, varint

Read = Callable[[bytes], dict[str, np.ndarray]]

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
BLOBS = st.one_of([arrays.arrays(kind, SHAPES, elements=st.floats(-9, 9, width=32)) for kind in ("f4", "f8")])
NAMES = st.text(min_size=1, max_size=9).filter(str.isprintable)
NETS = st.dictionaries(NAMES, st.lists(BLOBS, min_size=1, max_size=3), min_size=1, max_size=4)

SMALL: Blobs = {name: [np.ones((2, 3, 1, 1), np.float32), np.ones(2, np.float32)] for name in ("first", "second")}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content: bytes) -> dict[str, np.ndarray]:
        (tmp_path / "net.caffemodel").write_bytes(content)
        return read_caffemodel(tmp_path / "net.caffemodel")

    return read


fast = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@fast
@given(NETS)
def test_a_written_caffemodel_is_read_back(read: Read, net: Blobs) -> None:
    keys = [f"{name}.{kind}" for name, blobs in net.items() for kind in ("weight", "bias", "2")[: len(blobs)]]
    blobs = read(caffemodel(net))
    assert list(blobs) == keys
    for got, written in zip(blobs.values(), [blob for blobs in net.values() for blob in blobs], strict=True):
        assert got.dtype == np.float32
        assert np.array_equal(got, written)


def test_blobs_of_the_old_format_have_four_sides(read: Read) -> None:
    blobs = read(
        caffemodel({"fc": [np.arange(6, dtype=np.float32).reshape(3, 2), np.ones(3, np.float32)]}, legacy=True)
    )
    assert np.array_equal(blobs["fc.weight"], [[[[0, 1], [2, 3], [4, 5]]]])
    assert blobs["fc.bias"].shape == (3,)


def test_unpacked_numbers_are_read(read: Read) -> None:
    numbers = b"".join(varint(5 << 3 | 5) + np.float32(value).tobytes() for value in (1.5, -2))
    dims = number(1, 2) + number(1, 1)
    blobs = read(message(100, message(1, "conv") + message(7, message(7, dims) + numbers)))
    assert np.array_equal(blobs["conv.weight"], [[1.5], [-2]])


def test_files_equal_those_of_googles_protobuf(read: Read) -> None:
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, fields in {
        "BlobShape": [("dim", 1, 3, None)],
        "BlobProto": [("shape", 7, 11, "BlobShape"), ("data", 5, 2, None), ("diff", 6, 2, None)],
        "LayerParameter": [("name", 1, 9, None), ("type", 2, 9, None), ("blobs", 7, 11, "BlobProto")],
        "NetParameter": [("name", 1, 9, None), ("layer", 100, 11, "LayerParameter")],
    }.items():
        kind = file.message_type.add(name=name)
        for field, place, code, of in fields:
            many = field in ("dim", "data", "diff", "blobs", "layer")
            added = kind.field.add(name=field, number=place, type=code, label=3 if many else 1)
            added.options.packed = field in ("dim", "data", "diff")
            if of:
                added.type_name = f".caffe.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    net = message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))(name="net")
    values = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    blob = net.layer.add(name="conv", type="Convolution").blobs.add(data=values.ravel(), diff=values.ravel())
    blob.shape.dim.extend(values.shape)
    assert np.array_equal(read(net.SerializeToString())["conv.weight"], values)


def test_a_truncated_file_is_an_error_or_has_fewer_layers(read: Read) -> None:
    whole = caffemodel(SMALL)
    layers = {"first.weight", "first.bias"}
    for end in range(len(whole)):
        with suppress(ModelError):
            assert set(read(whole[:end])) == layers  # the cut is between two layers
    with pytest.raises(ModelError, match="truncated: it ends after layer first"):
        read(whole[:-20])


@fast
@given(st.data())
def test_a_damaged_file_is_an_error_or_has_other_numbers(read: Read, data: st.DataObject) -> None:
    whole = bytearray(caffemodel(SMALL))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] ^= data.draw(st.integers(1, 255))
    try:
        result = str(list(read(bytes(whole))))
    except ModelError as error:
        result = str(error)
    assert result.isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html><body>404 Not Detections</body></html>" * 9,
        b'input: "image"\ninput_dim: 1\nlayer { name: "conv1_1" type: "Convolution" }\n' * 9,
        b"\x89PNG\r\n\x1a\n" + bytes(300),
        caffemodel({}),
        number(100, 7),
    ],
    ids=["nothing", "page", "prototxt", "image", "no weights", "number"],
)
def test_a_file_of_another_format_raises_model_error(read: Read, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"net\.caffemodel is (truncated, or )?not a caffemodel"):
        read(content)


@pytest.mark.parametrize(
    ("blob", "message_"),
    [
        (message(7, message(1, varint(3))) + message(5, bytes(8)), "a blob of 3 has 2 numbers"),
        (message(7, message(1, varint(1))) + message(5, bytes(5)), "a blob with an incomplete number"),
        (message(7, message(1, b"\xff")) + message(5, bytes(4)), "a number without an end"),
        (number(7, 3), "expected a message, got a number"),
    ],
)
def test_a_damaged_layer_is_named(read: Read, blob: bytes, message_: str) -> None:
    with pytest.raises(ModelError, match=f"is not a caffemodel: layer conv cannot be read .*{message_}"):
        read(message(100, message(1, "conv") + message(7, blob)))
    with pytest.raises(ModelError, match=f"damaged at layer second or after it: layer conv .*{message_}"):
        read(caffemodel(SMALL) + message(100, message(1, "conv") + message(7, blob)))


def test_a_repeated_layer_name_is_an_error(read: Read) -> None:
    with pytest.raises(ModelError, match="layer second or after it: a second layer has the same name"):
        read(caffemodel(SMALL) + caffemodel({"second": SMALL["second"]}))
