"""The web app in a real browser: labels that exist already, deleting, and 3D results."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")

from cairn.visualization.page import page as html_page
from cairn.visualization.page import paragraph, table
from cairn.visualization.scene3d import LineSet, PointSet, scene
from support.web import choose


def labeled_images(folder: Path) -> list[Path]:
    """Two images, and their labels in COCO format."""
    files = [folder / "one.png", folder / "two.png"]
    for file in files:
        cv2.imwrite(str(file), np.full((120, 160, 3), 90, np.uint8))
    content = {
        "images": [
            {"id": i, "file_name": f"set/{file.name}", "width": 160, "height": 120} for i, file in enumerate(files)
        ],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "bbox": [10, 10, 90, 60], "keypoints": [20, 30, 2, 90, 60, 1]}
        ],
        "categories": [{"id": 7, "name": "leaf", "keypoints": ["stem", "apex"], "skeleton": [[1, 2]]}],
    }
    (folder / "leaves.json").write_text(json.dumps(content))
    return [*files, folder / "leaves.json"]


def test_a_project_takes_labels_that_exist_and_is_deleted(server: str, page, tmp_path: Path) -> None:
    page.goto(f"{server}#/label")
    page.get_by_role("button", name="New project").click()
    dialog = page.get_by_role("dialog")
    choose(page, dialog.get_by_role("button", name="Choose files"), *labeled_images(tmp_path))
    page.get_by_label("Name", exact=True).fill("Leaves")
    assert (
        "Those of leaves.json" in page.get_by_role("combobox", name="Keypoints").locator("option:checked").inner_text()
    )
    dialog.get_by_role("button", name="Create project").click()
    page.get_by_text("leaves.json: labels of 2 images, 1 instance.").wait_for()
    page.get_by_text("2 of 2 finished").wait_for()
    page.get_by_role("button", name="one.png, finished").click()
    page.locator(".handle.occluded").wait_for()
    page.locator("summary", has_text="More").click()
    cv2.imwrite(str(tmp_path / "three.png"), np.full((120, 160, 3), 70, np.uint8))
    choose(page, page.get_by_role("button", name="Add images or a video"), tmp_path / "three.png")
    page.get_by_text("2 of 3 finished").wait_for()
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Delete project").click()
    dialog.get_by_text("The labels of 2 images, with all earlier versions, are deleted.").wait_for()
    dialog.get_by_text("What was uploaded, 3 images, is deleted, too").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Delete project").click()
    dialog.get_by_role("button", name="Delete project").click()
    page.get_by_role("heading", name="Label your own images").wait_for()
    assert page.evaluate("fetch('v1/projects').then(answer => answer.json())") == {"projects": []}


def test_labels_that_cannot_be_read_leave_no_project(server: str, page, tmp_path: Path) -> None:
    files = labeled_images(tmp_path)
    files[-1].write_text("{}")
    page.goto(f"{server}#/label")
    page.get_by_role("button", name="New project").click()
    dialog = page.get_by_role("dialog")
    choose(page, dialog.get_by_role("button", name="Choose files"), *files)
    dialog.get_by_role("button", name="Create project").click()
    dialog.locator(".danger-text", has_text="leaves.json").wait_for()
    page.wait_for_function("fetch('v1/projects').then(answer => answer.json()).then(found => !found.projects.length)")


def test_a_page_of_3d_results_is_drawn_and_nothing_of_it_runs(server: str, page, tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(4, 5, 3))
    items = [
        PointSet("keypoints", points, (220, 40, 40), 14.0, tuple("abcde")),
        LineSet("limbs", points[:, [[0, 1], [1, 2]]], (0, 0, 250), 6.0),
    ]
    body = [
        paragraph("Two <limbs>."),
        scene(items, rate=2, caption="Meters."),
        table([("a", "1.0")], ("camera", "error")),
    ]
    file = tmp_path / "player.html"
    evil = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'><a href='https://evil.example/'>link</a>"
    file.write_text(html_page("Keypoints in 3D", [*body, evil]), encoding="utf-8")
    page.goto(f"{server}#/3d")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    choose(page, page.get_by_role("button", name="Choose a file"), file)
    page.locator("figure.scene[data-drawn]").wait_for()
    page.get_by_role("heading", name="Keypoints in 3D").wait_for()
    assert page.get_by_role("cell").all_inner_texts() == ["a", "1.0"]
    page.get_by_role("slider", name="Frame").fill("3")
    page.get_by_text("frame 3, 1.50 s").wait_for()
    colors = page.eval_on_selector(
        "canvas",
        "canvas => { const gl = canvas.getContext('webgl2'); const size = [canvas.width, canvas.height];"
        " const bytes = new Uint8Array(4 * size[0] * size[1]);"
        " gl.readPixels(0, 0, ...size, gl.RGBA, gl.UNSIGNED_BYTE, bytes);"
        " let [red, blue] = [0, 0]; for (let i = 0; i < bytes.length; i += 4)"
        " { red += bytes[i] === 220; blue += bytes[i + 2] === 250; } return [red, blue]; }",
    )
    assert min(colors) > 50
    assert page.evaluate("window.ran") is None
    assert page.locator("main a, main img").count() == 0
    assert [url for url in requests if not url.startswith((server, "blob:"))] == []


def test_other_pages_are_refused_in_one_line(server: str, page, tmp_path: Path) -> None:
    page.goto(f"{server}#/3d")
    file = tmp_path / "other.html"
    for text in ("", "no page", "<p>Hello", "<figure class=scene><script type='application/json'>{}</script>"):
        file.write_text(text)
        choose(page, page.get_by_role("button", name="Choose a file"), file)
        page.locator(".notice").wait_for()
        assert page.get_by_role("heading", name="Drop a page of 3D results here").is_visible()
        page.get_by_role("button", name="Dismiss").click()
