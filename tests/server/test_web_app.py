"""The web app in a real browser: what people do, from the first click to the result."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")

import cairn
from support.browser import page_of
from support.web import choose

EXAMPLE = Path(__file__).parents[2] / "examples" / "portraits.jpg"


def variants(folder: Path, count: int) -> list[Path]:
    """Small images of the two people, each with another place, size and brightness."""
    image = cv2.imread(str(EXAMPLE))
    paths = []
    for i in range(count):
        half = image[:, : image.shape[1] // 2] if i % 2 else image[:, image.shape[1] // 2 :]
        side = 130 + 6 * i
        small = cv2.resize(half, (side, round(side * half.shape[0] / half.shape[1])), interpolation=cv2.INTER_AREA)
        canvas = np.full((240, 240, 3), 40 + 10 * i, np.uint8)
        canvas[-small.shape[0] :, 3 * i : 3 * i + side] = np.clip(small[-240:] * (0.8 + 0.03 * i), 0, 255)
        paths.append(folder / f"person_{i:02d}.png")
        cv2.imwrite(str(paths[-1]), canvas)
    return paths


def test_detect_shows_the_people_of_the_example_and_downloads_them(server: str, page, tmp_path: Path) -> None:
    page.goto(server)
    choose(page, page.get_by_role("button", name="Choose files"), EXAMPLE)
    page.locator(".pose").nth(1).wait_for()
    expected = cairn.load("person", device="cpu", threads=1)(EXAMPLE)
    shown = page.eval_on_selector_all(".pose", "poses => poses.map(pose => pose.querySelectorAll('.joint').length)")
    assert sorted(shown) == sorted(int((pose.confidence >= 0.1).sum()) for pose in expected)
    noses = page.evaluate(
        "() => [...document.querySelectorAll('.joint')].filter(joint => joint.textContent.startsWith('nose'))"
        ".map(joint => [Number(joint.getAttribute('cx')), Number(joint.getAttribute('cy'))])"
    )
    np.testing.assert_allclose(sorted(noses), sorted(expected["nose"][:, :2].tolist()), atol=0.5)
    page.get_by_label("Minimum confidence").fill("1")
    certain = sum(int((pose.confidence >= 1).sum()) for pose in expected)
    page.wait_for_function("count => document.querySelectorAll('.joint').length === count", arg=certain)
    files = {}
    for label in ("JSON of this file", "COCO of all files", "CSV of all files", "Overlay of this image"):
        page.locator("summary", has_text="Download").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        files[label.split()[0]] = path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
    assert len(json.loads(files["JSON"].read_text())["people"]) == len(expected)
    assert len(json.loads(files["COCO"].read_text())["annotations"]) == len(expected)
    assert files["CSV"].read_text().splitlines()[0] == "image,frame,seconds,person,id,score,joint,x,y,confidence"
    assert cairn.read_image(files["Overlay"]).shape == (512, 949, 3)


def test_a_label_session_from_new_images_to_a_model_that_labels_the_rest(server: str, page, tmp_path: Path) -> None:
    page.goto(f"{server}#/label")
    page.get_by_role("button", name="New project").click()
    choose(page, page.get_by_role("dialog").get_by_role("button", name="Choose files"), *variants(tmp_path, 12))
    page.get_by_label("Name", exact=True).fill("Portraits")
    page.get_by_role("button", name="Create project").click()
    page.locator(".instance.suggested").first.wait_for()
    project = f"{server}v1/projects/portraits"

    before = page.locator(".handle").first.bounding_box()
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 10, steps=3)
    page.mouse.up()
    page.locator('[data-state="saved"]').wait_for()
    page.keyboard.press("Control+z")
    page.keyboard.press("m")
    page.keyboard.press(" ")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("v")
    page.locator('[data-state="saved"]').wait_for()
    (labels,) = [each for each in coco(page, project)["annotations"] if 1 in each["keypoints"][2::3]]
    assert labels["keypoints"][2::3].count(1) == 1

    for number in range(6):
        page.locator(".instance").first.wait_for()
        name = page.locator(".image-title").inner_text()
        page.keyboard.press("Enter")
        page.wait_for_function("name => document.querySelector('.image-title').innerText !== name", arg=name)
        page.get_by_text(f"{number + 1} of 12 finished").wait_for()
        page.locator(".instance.suggested").first.wait_for()
    saved = coco(page, project)
    assert sum(image["labeled"] for image in saved["images"]) == 6

    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Train on these labels").click()
    page.get_by_label("Name of the model").fill("my portraits")
    page.get_by_label("Duration").select_option("")
    page.get_by_role("spinbutton", name="Epochs").fill("1")
    page.get_by_role("button", name="Start training").click()
    page.locator(".tag", has_text="Finished").wait_for()
    page.locator(".overlay-image").first.wait_for()
    assert page.locator(".chart").count() >= 1
    assert (page.locator(".tag").inner_text(), page.locator("h1").inner_text()) == ("Finished", "my-portraits")

    page.get_by_role("link", name="Label with it").click()
    page.get_by_label("Suggestions by").select_option("my-portraits")
    page.wait_for_function(
        "url => fetch(url).then(answer => answer.json())"
        ".then(({ suggestions: s }) => s.model === 'my-portraits' && !s.running && s.done === 6)",
        arg=project,
    )
    page.goto(f"{server}#/detect")
    page.get_by_role("button", name="Try an example").click()
    assert "my-portraits" in page.get_by_label("Model").inner_text()


def test_two_tabs_do_not_overwrite_each_other(server: str, page, tmp_path: Path) -> None:
    page.goto(f"{server}#/label")
    page.get_by_role("button", name="New project").click()
    choose(page, page.get_by_role("dialog").get_by_role("button", name="Choose files"), *variants(tmp_path, 1))
    page.get_by_label("Name", exact=True).fill("Tabs")
    page.get_by_role("button", name="Create project").click()
    page.locator(".instance.suggested").first.wait_for()
    other = page.context.new_page()
    other.goto(f"{server}#/label/tabs")
    other.locator(".instance.suggested").first.wait_for()
    page.keyboard.press("n")
    page.keyboard.press(" ")
    page.locator('[data-state="saved"]').wait_for()
    other.keyboard.press("e")
    other.keyboard.press("Delete")
    other.locator('[data-state="conflict"]').wait_for()
    other.get_by_role("button", name="Show theirs").click()
    other.locator('[data-state="saved"]').wait_for()
    assert other.locator(".instance-list li").count() == page.locator(".instance-list li").count()


def coco(page, project: str) -> dict:
    return page.evaluate("url => fetch(url).then(answer => answer.json())", f"{project}/labels.json")


def test_views_have_names_labels_and_no_sideways_scrolling(server: str) -> None:
    with page_of(viewport={"width": 390, "height": 844}, color_scheme="dark") as page:
        for view in ("detect", "label", "train", "train/new", "3d", "compare"):
            page.goto(f"{server}#/{view}")
            page.locator("main h1").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
            assert page.evaluate(
                "document.getElementById('nav').scrollWidth <= document.getElementById('nav').clientWidth"
            )
            unnamed = page.evaluate(
                "() => [...document.querySelectorAll('button, a, input, select')].filter(each => !each.hidden"
                " && !(each.innerText || each.ariaLabel || each.labels?.length)).map(each => each.outerHTML)"
            )
            assert unnamed == [], view
            assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_skeleton_is_drawn_and_its_keypoints_are_placed(server: str, page, tmp_path: Path) -> None:
    page.goto(f"{server}#/label")
    page.get_by_role("button", name="New project").click()
    choose(page, page.get_by_role("dialog").get_by_role("button", name="Choose files"), *variants(tmp_path, 1))
    page.get_by_label("Name", exact=True).fill("Hat")
    page.get_by_role("combobox", name="Keypoints").select_option("")
    stage = page.locator(".skeleton-editor .stage")
    for x, name in ((0.4, "left edge"), (0.6, "right edge"), (0.5, "badge")):
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        page.mouse.click(box["x"] + x * box["width"], box["y"] + 0.5 * box["height"])
        page.keyboard.type(name)
    page.locator(".skeleton-editor .handle").nth(0).click()
    page.locator(".skeleton-editor .handle").nth(2).click()
    page.locator(".limb.drawn").wait_for(state="attached")  # level, which counts as hidden
    page.get_by_role("button", name="Create project").click()
    page.locator(".labelbench").wait_for()
    page.get_by_role("heading", name="person_00.png").wait_for()
    page.keyboard.press("n")
    page.locator(".stage.placing").wait_for()
    box = page.locator(".labelbench .stage").bounding_box()
    for x in (0.45, 0.55):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + 0.5 * box["height"])
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 finished").wait_for()
    saved = coco(page, f"{server}v1/projects/hat")
    assert saved["categories"][0]["keypoints"] == ["left_edge", "right_edge", "badge"]
    assert saved["categories"][0]["skeleton"] == [[1, 3]]
    assert saved["categories"][0]["flip_pairs"] == [[1, 2]]
    assert saved["annotations"][0]["keypoints"][2::3] == [2, 2, 0]
