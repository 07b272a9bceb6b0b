"""`POST /v1/detect` answers with the files of `cairn detect`, and with one line for what is no image."""

import json
import struct
import zlib

import cv2
import httpx
import numpy as np
import pytest

import cairn
from cairn.server import pool
from cairn.server.settings import Limits, ServerSettings
from support.fake_network import totems, write_totem_model
from support.served import served


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    write_totem_model(folder / "models" / "totem.onnx")
    (folder / "models" / "broken.onnx").write_bytes(b"no model")
    (folder / "models" / "mine").mkdir()
    write_totem_model(folder / "models" / "mine" / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def url(folder):
    settings = ServerSettings(
        data=folder / "data", models=folder / "models", workers=1, limits=Limits(image_pixels=500_000, images=5)
    )
    with served(settings, pool.COMMAND) as (_, url):
        yield url


@pytest.fixture(scope="module")
def photos(folder):
    paths = []
    for name, size, middles in (("one.png", (200, 240), [(60, 90)]), ("two.jpg", (240, 320), [(60, 90), (200, 120)])):
        paths.append(folder / name)
        cv2.imwrite(str(paths[-1]), totems(size, middles)[..., ::-1])
    return paths


def post(url, files, **query):
    sent = [("image", (name, data)) for name, data in files]
    return httpx.post(f"{url}/v1/detect", params={"model": "totem", **query}, files=sent, timeout=60)


def read(paths):
    return [(path.name, path.read_bytes()) for path in paths]


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_one_image_gives_the_content_of_its_file(url, folder, photos, threshold, tmp_path):
    for path in photos:
        cairn.detect(
            path, model=folder / "models" / "totem.onnx", out=tmp_path, write="json,openpose", min_confidence=threshold
        )
        expected = json.loads((tmp_path / f"{path.stem}.cairn.json").read_text(encoding="utf-8"))
        expected["image"] = path.name
        assert len(expected["people"]) in (1, 2)
        assert post(url, read([path]), min_confidence=threshold).json() == expected
        flat = json.loads((tmp_path / "cairn.openpose" / f"{path.stem}_keypoints.json").read_text(encoding="utf-8"))
        assert post(url, read([path]), min_confidence=threshold, format="openpose").json() == flat


def test_several_images_give_a_list_in_their_order(url, photos):
    single = [post(url, read([path])).json() for path in photos]
    assert post(url, read([*photos, photos[0]])).json() == [*single, single[0]]


def test_coco_gives_both_files(url, folder, photos, tmp_path):
    cairn.detect(photos, model=folder / "models" / "totem.onnx", out=tmp_path, write="coco", draw=False)
    images = json.loads((tmp_path / "cairn.coco-images.json").read_text(encoding="utf-8"))["images"]
    rows = json.loads((tmp_path / "cairn.coco.json").read_text(encoding="utf-8"))
    answer = post(url, read(photos), format="coco").json()
    assert answer["images"] == [{**image, "file_name": path.name} for image, path in zip(images, photos, strict=True)]
    assert answer["annotations"] == rows
    assert len(rows) == 3
    numbered = [("000000000139.jpg", photos[0].read_bytes())]
    assert post(url, numbered, format="coco").json()["images"][0]["id"] == 139


def test_models_are_the_bundled_ones_and_those_of_the_folder(url, folder):
    models = {model["name"]: model for model in httpx.get(f"{url}/v1/models", timeout=60).json()["models"]}
    assert {"person", "person-single", "totem", "mine"} <= set(models)
    assert not {"broken", "person-lift"} & set(models)
    assert models["totem"]["joints"] == ["top", "middle", "base"]
    assert models["totem"]["limbs"] == [["top", "middle"], ["middle", "base"]]
    assert models["person"]["refiner"] == models["person-single"]["refiner"] == "person-refine"
    assert str(folder) not in json.dumps(models)


def test_the_bundled_model_of_crops_is_refined_in_images_by_default(url, photos, tmp_path):
    path = photos[0]
    for query, refine in (({}, None), ({"refine": "true"}, True), ({"refine": "false"}, False)):
        cairn.detect(path, model="person-single", out=tmp_path, write="json", draw=False, refine=refine)
        expected = json.loads((tmp_path / f"{path.stem}.cairn.json").read_text(encoding="utf-8"))["people"]
        assert post(url, read([path]), model="person-single", **query).json()["people"] == expected


def test_a_new_model_needs_no_restart(url, folder, photos):
    assert post(url, read(photos), model="later").status_code == 404
    write_totem_model(folder / "models" / "later.onnx")
    assert post(url, read(photos), model="later").status_code == 200


def png(width, height):
    """A PNG file that declares a size, and has the pixels of a small one."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def jpeg(size=(64, 64)):
    return cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8))[1].tobytes()


def gif(width, height):
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def bmp(width, height):
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


BROKEN = {
    "text": (b"Dear Sir or Madam", "is not an image"),
    "empty": (b"", "is empty"),
    "one byte": (b"\xff", "is not an image"),
    "pdf": (b"%PDF-1.7\n", "it is a PDF"),
    "zip": (b"PK\x03\x04" + b"\0" * 100, "it is an archive"),
    "playlist": (b"#EXTM3U\nfile:///etc/passwd\n", "it is a playlist"),
    "truncated JPEG": (jpeg()[:700], "truncated"),
    "cut header": (jpeg()[:40], "truncated"),
    "bomb": (png(50_000, 50_000), "is 50000×50000 pixels"),
    "wide bomb": (png(2_000_000_000, 1), "is 2000000000×1 pixels"),
    "bomb below the library's limit": (png(10_000, 10_000), "limit of this server"),
    "GIF bomb": (gif(60_000, 60_000), "pixels"),
    "BMP bomb": (bmp(50_000, -50_000), "pixels"),
    "no pixels": (png(0, 10), "is "),
    "missing rows": (png(700, 700), "is "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_image_is_refused_in_one_line(url, folder, kind):
    data, expected = BROKEN[kind]
    answer = post(url, [("photo.jpg", data)])
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    detail = answer.json()["detail"]
    assert detail.startswith("photo.jpg ")
    assert expected in detail
    assert "\n" not in detail
    assert "Traceback" not in answer.text
    assert str(folder) not in answer.text


def test_all_broken_images_of_a_list_are_named(url, photos):
    good = photos[0].read_bytes()
    answer = post(url, [("a.jpg", b"text"), ("b.png", good), ("c.jpg", b"")])
    assert answer.status_code == 422
    assert [error["image"] for error in answer.json()["errors"]] == [0, 2]
    assert answer.json()["errors"][1]["detail"] == "c.jpg is empty"


def test_no_broken_image_affects_the_next_request(url, photos):
    before = post(url, read(photos)).json()
    for data, _ in BROKEN.values():
        post(url, [("x", data)])
    assert post(url, read(photos)).json() == before
    assert httpx.get(f"{url}/metrics").text.count("cairn_worker_restarts 0.0") == 1


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ({"model": "persom"}, 404, "no model 'persom': expected one of"),
        ({"model": "../models/totem.onnx"}, 404, "no model"),
        ({"model": "models/totem"}, 404, "no model"),
        ({"model": "%2e%2e%2fetc%2fpasswd"}, 404, "no model"),
        ({"model": "totem\0"}, 404, "no model"),
        ({"model": ""}, 404, "no model"),
        ({"model": "broken"}, 404, "no model 'broken'"),
        ({"model": "person-lift"}, 404, "no model 'person-lift'"),
        ({"model": "x" * 300}, 422, "model: string should have at most 200 characters"),
        ({"refine": "true"}, 422, "no model is registered that refines totem"),
        ({"refine": "../person-refine"}, 404, "no model"),
        ({"refine": "mine"}, 422, "needs a model of one instance per crop"),
        ({"model": "person-single", "refine": "mine"}, 422, "needs a model of one instance per crop"),
        ({"model": "face-landmarks", "refine": "true"}, 422, "refine is for models of several instances or of crops"),
        ({"min_confidence": "1.5"}, 422, "min_confidence: input should be less than or equal to 1, got '1.5'"),
        ({"min_confidence": "nan"}, 422, "min_confidence"),
        ({"min_confidence": "much"}, 422, "min_confidence"),
        ({"format": "../json"}, 422, "format: input should be 'json', 'openpose' or 'coco'"),
    ],
)
def test_options_are_refused_in_one_line(url, photos, query, status, expected):
    answer = post(url, read(photos), **query)
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert answer.json()["detail"].startswith(expected) or expected in answer.json()["detail"]


def test_names_of_files_are_shown_and_never_opened(url, photos):
    for name, shown in (("../../etc/passwd", "passwd"), ("C:\\x\\a b.png", "a b.png"), ("a\u202eü\x7f.png", "aü.png")):
        assert post(url, [(name, photos[0].read_bytes())]).json()["image"] == shown


def test_the_number_of_images_is_limited(url):
    answer = post(url, [(f"{i}.png", b"x") for i in range(1000)])
    assert answer.status_code == 413
    assert answer.json()["detail"] == "the request has more than 5 files: send several requests"
