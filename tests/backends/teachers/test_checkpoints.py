"""Each teacher's published file is read strictly, and the network that comes of it is the authors' own."""

import argparse
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from annotator.errors import BackendError
from backends.teachers.opening import LAYOUTS, Teacher, open_teacher
from backends.teachers.preprocessing import PREPROCESSING
from backends.teachers.teacher import TEACHERS, TeacherRecord
from tests.backends.teachers.originals import SHAPES, TINY, State, in_its_container, outputs, random_state
from tests.builders import some_pixels

NAMES = tuple(TINY)
KEYS = {"fetal_clip": 296, "ultra_sam": 177, "mae": 150}


def saved(folder: Path, record: TeacherRecord, content: Any) -> Path:
    path = folder / record.file_name
    torch.save(content, path)
    return path


def opened(folder: Path, name: str, state: State | None = None) -> Teacher:
    record = TINY[name]
    return open_teacher(record, saved(folder, record, in_its_container(record, state or random_state(record))))


def as_computed(name: str, state: State, images: list[Any], **changed: Any) -> list[torch.Tensor]:
    record = TINY[name]
    batch = np.stack([PREPROCESSING[name](image, record.image_size) for image in images])
    return [tokens.mean(1) for tokens in outputs(record, state, torch.from_numpy(batch), **changed)]


def distance(found: dict[int, Any], wanted: list[torch.Tensor]) -> float:
    """The worst difference, as a share of the largest value."""
    pairs = [(torch.from_numpy(found[block]), wanted[block]) for block in found]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.parametrize("form", KEYS)
def test_names_and_shapes_are_those_of_the_published_file(form: str) -> None:
    record = next(one for one in TEACHERS.values() if one.format == form)
    layout, published = LAYOUTS[form], SHAPES[form](record.architecture)
    assert len(published) == KEYS[form]
    assert layout.shapes(record.architecture) == published
    with torch.device("meta"):
        module = layout.build(record.architecture)
        state = {name: torch.empty(shape) for name, shape in published.items()}
        converted = layout.convert(state, record.architecture)
    assert not state
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in converted.items()} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_original_forward(tmp_path: Path, name: str) -> None:
    state = random_state(TINY[name], seed=3)
    images = [some_pixels(1, (90, 70)), some_pixels(2, (70, 80), colour=True), some_pixels(3, (64, 64))]
    found = opened(tmp_path, name, state).features(images)
    assert {block: value.shape for block, value in found.items()} == dict.fromkeys(range(3), (3, 32))
    assert distance(found, as_computed(name, state, images)) < 1e-5


def test_a_quick_gelu_would_be_noticed(tmp_path: Path) -> None:
    state, images = random_state(TINY["fetal_clip"], seed=3), [some_pixels(1, (90, 70))]
    wrong = as_computed("fetal_clip", state, images, gelu=lambda x: x * torch.sigmoid(1.702 * x))
    assert distance(opened(tmp_path, "fetal_clip", state).features(images), wrong) > 1e-3


def test_another_eps_would_be_noticed(tmp_path: Path) -> None:
    state, images = random_state(TINY["usf_mae"], seed=3), [some_pixels(1, (90, 70))]
    wrong = as_computed("usf_mae", state, images, eps=1e-5)
    assert distance(opened(tmp_path, "usf_mae", state).features(images), wrong) > 1e-4


def test_lost_relative_positions_would_be_noticed(tmp_path: Path) -> None:
    state, images = random_state(TINY["ultra_sam"], seed=3), [some_pixels(1, (90, 70))]
    wrong = as_computed("ultra_sam", state, images, relative=False)
    assert distance(opened(tmp_path, "ultra_sam", state).features(images), wrong) > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_has_the_same_features_alone_and_among_others(tmp_path: Path, name: str) -> None:
    teacher = opened(tmp_path, name)
    images = [some_pixels(seed, (40 + seed, 60)) for seed in range(11)]
    together = teacher.features(images)
    alone = teacher.features(images[9:10])
    for block in range(3):
        np.testing.assert_allclose(together[block][9], alone[block][0], atol=1e-5)


def test_no_frames_have_no_features(tmp_path: Path) -> None:
    assert opened(tmp_path, "usf_mae").features([])[0].shape == (0, 32)


@pytest.mark.parametrize("name", NAMES)
def test_everything_else_in_the_file_is_named(tmp_path: Path, name: str) -> None:
    groups = {
        "fetal_clip": {"text tower": 6, "logit scale": 1},
        "ultra_sam": {"mask decoder": 1, "prompt encoder": 1, "box head": 1},
        "usf_mae": {"decoder": 6},
        "ultra_fed_fm": {"decoder": 6},
    }
    assert {group: len(names) for group, names in opened(tmp_path, name).leftovers.items()} == groups[name]


@pytest.mark.parametrize("name", NAMES)
def test_safetensors_hold_the_same_teacher(tmp_path: Path, name: str) -> None:
    state = random_state(TINY[name])
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    images = [some_pixels(5, (50, 60))]
    same, usual = open_teacher(TINY[name], path).features(images), opened(tmp_path, name, state).features(images)
    for block in range(3):
        np.testing.assert_array_equal(same[block], usual[block])


def test_half_precision_weights_are_computed_in_full_precision(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in random_state(TINY["usf_mae"]).items()}
    found = opened(tmp_path, "usf_mae", state).features([some_pixels(5, (50, 60))])
    wanted = as_computed(
        "usf_mae", {key: value.float() for key, value in state.items()}, [some_pixels(5, (50, 60))]
    )
    assert distance(found, wanted) < 1e-5


def test_a_loss_history_of_mmengine_is_let_in_without_its_code(tmp_path: Path, monkeypatch: Any) -> None:
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self) -> None:
            self._history = np.array([0.5, 0.25])

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    for part in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    record = TINY["ultra_sam"]
    content = in_its_container(record, random_state(record))
    content["message_hub"] = {"log_scalars": {"train/loss": HistoryBuffer()}}
    path = saved(tmp_path, record, content)
    monkeypatch.undo()
    assert open_teacher(record, path).features([some_pixels(1)])[0].shape == (1, 32)


class RunsCode:
    """A pickle that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_code_inside_a_checkpoint_is_refused_and_never_run(tmp_path: Path) -> None:
    record, marker = TINY["ultra_fed_fm"], tmp_path / "it-ran"
    content = in_its_container(record, random_state(record))
    content["args"] = argparse.Namespace(hook=RunsCode(marker))
    with pytest.raises(BackendError, match=r"cannot be read: it holds an object of .*safetensors"):
        open_teacher(record, saved(tmp_path, record, content))
    assert not marker.exists()


def without(name: str) -> Callable[[State], State]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def with_more(**more: torch.Tensor) -> Callable[[State], State]:
    return lambda state: state | {key.replace("__", "."): value for key, value in more.items()}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("usf_mae", without("pos_embed"), "lacks pos_embed"),
        ("fetal_clip", without("visual.proj"), "lacks visual.proj"),
        ("ultra_sam", without("backbone.layers.1.attn.rel_pos_h"), "lacks backbone.layers.1.attn.rel_pos_h"),
        ("usf_mae", with_more(pos_embed=torch.zeros(1, 10, 32)), "pos_embed is 1x10x32, not 1x17x32"),
        # a window's table of positions where a global block's is needed
        (
            "ultra_sam",
            with_more(backbone__layers__1__attn__rel_pos_h=torch.zeros(7, 8)),
            "rel_pos_h is 7x8, not 11x8",
        ),
        ("usf_mae", with_more(head__weight=torch.zeros(3, 32)), "no published file of USF-MAE holds: head.weight"),
        ("usf_mae", with_more(blocks__3__norm1__bias=torch.zeros(32)), "holds: blocks.3.norm1.bias"),
        ("ultra_sam", with_more(layers__0__ln1__bias=torch.zeros(32)), "holds: layers.0.ln1.bias"),
        ("usf_mae", with_more(cls_token=torch.full((1, 1, 32), torch.nan)), "cls_token holds values that are not"),
        ("usf_mae", with_more(cls_token=torch.zeros(1, 1, 32, dtype=torch.int64)), "cls_token holds torch.int64"),
        # a prefix inside a name is a part of it: only one in front of all names is stripped
        ("fetal_clip", with_more(visual__module__proj=torch.zeros(1)), "holds: visual.module.proj"),
        (
            "usf_mae",
            lambda state: {f"encoder.{key}": value for key, value in state.items()},
            "it lacks cls_token, pos_embed, .* and .* more",
        ),
        ("usf_mae", lambda state: {}, "holds no state dict"),
    ],
)
def test_a_file_of_other_content_is_refused_in_one_line(
    tmp_path: Path, name: str, change: Callable[[State], State], message: str
) -> None:
    with pytest.raises(BackendError, match=message) as caught:
        opened(tmp_path, name, None) if change is None else _open_changed(tmp_path, name, change)
    assert "\n" not in str(caught.value)


def _open_changed(folder: Path, name: str, change: Callable[[State], State]) -> Teacher:
    record = TINY[name]
    return open_teacher(
        record, saved(folder, record, in_its_container(record, change(random_state(record, leftovers=False))))
    )


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("ultra_sam", lambda state: state),
        ("ultra_sam", lambda state: {"model": state}),
        ("ultra_fed_fm", lambda state: state),
        ("ultra_fed_fm", lambda state: {"state_dict": state}),
        ("usf_mae", lambda state: {"model": state, "epoch": 3}),
        ("fetal_clip", lambda state: {"weights": state}),
        ("usf_mae", lambda state: list(state.values())),
    ],
)
def test_a_wrong_container_is_refused(tmp_path: Path, name: str, wrap: Callable[[State], Any]) -> None:
    record = TINY[name]
    path = saved(tmp_path, record, wrap(random_state(record)))
    with pytest.raises(BackendError, match=r"expected (weights under|a bare)|holds no state dict"):
        open_teacher(record, path)


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 torn", b"\x80\x02}."])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"weights.pt (cannot be read|is no file of)") as caught:
        open_teacher("usf_mae", path)
    assert "\n" not in str(caught.value)


def test_a_torn_download_is_refused(tmp_path: Path) -> None:
    record = TINY["usf_mae"]
    path = saved(tmp_path, record, random_state(record))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(BackendError, match="cannot be read"):
        open_teacher(record, path)


def test_a_missing_file_and_an_unknown_teacher_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no such file; docs/teachers\.md"):
        open_teacher("usf_mae", tmp_path / "none.pt")
    with pytest.raises(BackendError, match="there are fetal_clip, ultra_sam, usf_mae, ultra_fed_fm"):
        open_teacher("biomed_clip", tmp_path / "none.pt")


VISION = {"layers": 3, "width": 32, "patch_size": 14, "image_size": 56}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"vision_cfg": VISION, "quick_gelu": True}, "quick_gelu"),
        ({"vision_cfg": {**VISION, "patch_size": 16}}, "patch_size 16 instead of 14"),
        ({"text_cfg": {}}, "no open_clip configuration"),
        ([1], "no open_clip configuration"),
    ],
)
def test_the_configuration_beside_fetalclip_is_compared(tmp_path: Path, config: Any, message: str) -> None:
    beside = tmp_path / "FetalCLIP_config.json"
    beside.write_text(json.dumps({"embed_dim": 24, "vision_cfg": VISION}))
    assert opened(tmp_path, "fetal_clip").features([some_pixels(1)])[0].shape == (1, 32)
    beside.write_text(json.dumps(config))
    with pytest.raises(BackendError, match=message):
        opened(tmp_path, "fetal_clip")


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    record = TINY["usf_mae"]
    path = saved(tmp_path, record, random_state(record))
    with pytest.raises(BackendError, match=r"USF-MAE cannot be put on 'warp': .*use --device cpu") as caught:
        open_teacher(record, path, device="warp")
    assert "\n" not in str(caught.value)
