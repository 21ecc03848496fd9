"""What comes from outside in a task or in a smart tool's context, honest and hostile."""

from typing import Any

import pytest

from annotator.labelstudio.tasks import frame_id_from_task, image_url, prompt_from_context, task_data
from annotator.schema import Prompt
from tests.builders import a_frame

FRAME = a_frame(size_wh=(200, 100))
FRAME_ID = "ab" + "0" * 30


IMAGE_URL = image_url(FRAME_ID)


def a_task(url: Any = IMAGE_URL, **data: Any) -> dict[str, Any]:
    return {"id": 4, "data": {"image": url, **data}}


def a_click(x: float = 50.0, y: float = 50.0, label: str = "Brain", **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 0.3, "labels": [label], "keypointlabels": [label]}
    kind = {"type": "keypointlabels", "from_name": "prompt_point", "to_name": "image", "origin": "manual"}
    return {"id": "K--FcRIzQ_", "original_width": 200, "original_height": 100, "value": value, **kind, **more}


def a_rectangle(x: float, y: float, width: float, height: float, label: str = "Brain") -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}
    return {"id": "r", "type": "rectanglelabels", "from_name": "prompt_box", "value": value}


def prompt_of(*regions: Any) -> Prompt | None:
    return prompt_from_context({"result": list(regions)}, FRAME)


def test_a_task_says_what_it_shows_and_that_it_is_simulated() -> None:
    frame = a_frame(simulated=True)
    data = task_data(frame)
    assert data["image"] == f"/data/local-files/?d=images/{frame.frame_id[:2]}/{frame.frame_id}.png"
    assert "SIMULATED" in data["simulated"]
    assert task_data(FRAME)["simulated"] == ""
    assert frame_id_from_task({"data": data}) == frame.frame_id


@pytest.mark.parametrize(
    "task",
    [
        a_task(frame_id=FRAME_ID, url="https://elsewhere.example/x.png"),
        a_task(),
        a_task(frame_id="not an id"),
        a_task(image_url(FRAME_ID).replace("/", "%2F").replace("%2Fdata%2Flocal-files%2F", "/data/local-files/")),
    ],
)
def test_the_frame_of_a_task_is_known_by_its_id_or_its_address(task: dict[str, Any]) -> None:
    assert frame_id_from_task(task) == FRAME_ID


@pytest.mark.parametrize(
    "task",
    [
        a_task(f"http://evil.example{image_url(FRAME_ID)}"),
        a_task(f"//evil.example{image_url(FRAME_ID)}"),
        a_task(f"file://{image_url(FRAME_ID)}"),
        a_task(f"/data/local-files/?d=images/ab/../ab/{FRAME_ID}.png"),
        a_task(f"/data/local-files/?d=../../etc/{FRAME_ID}.png"),
        a_task(f"/data/local-files/?d=/etc/images/ab/{FRAME_ID}.png"),
        a_task(f"/data/local-files/?d=images/cd/{FRAME_ID}.png"),  # another folder than its own
        a_task(f"/data/local-files/?d=images/ab/{FRAME_ID}.png%00"),
        a_task(f"/data/local-files/?d=images/ab/{FRAME_ID}.png&d=images/ab/{FRAME_ID}.png"),
        a_task(f"/data/local-files/?d=images/ab/{FRAME_ID}.png&x=1"),
        a_task(f"/data/local-files/?d=images/ab/{FRAME_ID}.png#x"),
        a_task(f"/data/upload/images/ab/{FRAME_ID}.png"),
        a_task(image_url(FRAME_ID.upper())),
        a_task("http://[broken"),
        a_task("x" * 10_000_000),
        a_task(None),
        a_task(["/data/local-files/"]),
        {"data": None},
        {"data": []},
        {},
        None,
        "task",
        7,
    ],
)
def test_addresses_that_are_not_exactly_ours_show_no_frame(task: Any) -> None:
    assert frame_id_from_task(task) is None


def test_a_click_asks_for_its_structure_at_its_pixel() -> None:
    prompt = prompt_of(a_click(25.0, 50.0, is_positive=True))
    assert prompt is not None
    assert (prompt.structure, prompt.box_xyxy) == ("Brain", None)
    assert [(point.x, point.y, point.positive) for point in prompt.points] == [(50.0, 50.0, True)]


def test_an_alt_click_says_what_is_outside() -> None:
    prompt = prompt_of(a_click(25.0, 50.0, is_positive=True), a_click(90.0, 90.0, is_positive=False))
    assert prompt is not None
    assert [point.positive for point in prompt.points] == [True, False]


def test_only_an_alt_click_asks_for_nothing() -> None:
    assert prompt_of(a_click(is_positive=False)) is None


def test_older_regions_of_the_frame_are_no_prompts() -> None:
    old = a_click(10.0, 10.0, "CRL_KP", id="kp1", origin="prediction")
    prompt = prompt_of(old, a_rectangle(1, 1, 5, 5, "CSP"), a_click(25.0, 50.0, is_positive=True))
    assert prompt is not None
    assert prompt.structure == "Brain"
    assert len(prompt.points) == 1
    assert prompt.box_xyxy is None


def test_the_last_rectangle_is_the_prompt_since_it_says_nothing_of_positive() -> None:
    prompt = prompt_of(a_rectangle(0, 0, 5, 5, "CSP"), a_rectangle(10, 20, 50, 60))
    assert prompt is not None
    assert prompt.box_xyxy == (20.0, 20.0, 120.0, 80.0)
    assert prompt.structure == "Brain"


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        [],
        "context",
        {"result": None},
        {"result": []},
        {"result": "abc"},
        {"result": [None, 3, "x"]},
        {"result": [a_click(label="Tumour", is_positive=True)]},
        {"result": [a_click(float("nan"), is_positive=True)]},
        {"result": [{**a_click(is_positive=True), "value": None}]},
        {"result": [{**a_click(is_positive=True), "type": "brushlabels"}]},
        {"result": [a_rectangle(150, 150, 5, 5)]},  # outside the image
        {"result": [a_rectangle(10, 10, 0, 0)]},
    ],
)
def test_a_context_without_a_usable_prompt_asks_for_nothing(context: Any) -> None:
    assert prompt_from_context(context, FRAME) is None
