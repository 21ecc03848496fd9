"""The feature loss: its scale, whom it touches, and that it reaches what is to learn from it."""

import json

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import mse_loss, normalize
from torch.utils.checkpoint import checkpoint as recomputed
from transformers import AutoConfig, AutoModelForImageTextToText

from annotator.errors import BackendError, InputError
from backends.engine import Phase
from backends.teachers.cache import TeacherCache, write_cache
from backends.teachers.teacher import TEACHERS
from backends.training.lora.batches import Batch, Encoder, collate
from backends.training.lora.conversations import read_conversations
from backends.training.lora.distill import (
    Distillation,
    Projectors,
    Taps,
    distils,
    feature_loss,
    open_cache,
    pooled,
)
from backends.training.lora.fitting import Fitting, is_reached
from backends.training.lora.student import load_student
from backends.training.lora.targets import vision_blocks, vision_width
from backends.training.lora.training import train_lora
from backends.vlm import loading
from tests.backends.tiny_configs import TINY
from tests.backends.training.lora.builders import (
    a_line,
    a_request,
    a_source,
    some_lines,
    write_conversations,
    write_teacher_cache,
)
from tests.tiny_other_vlm import save_tiny_idefics3

PUBLISHED = {"fetal_clip": 0.40, "ultra_sam": 0.25, "usf_mae": 0.20, "ultra_fed_fm": 0.15}


@pytest.mark.parametrize("width", [24, 256, 768, 1024])
def test_unrelated_features_cost_about_one_whatever_their_width(width):
    torch.manual_seed(0)
    pairs = [(teacher, block) for teacher in PUBLISHED for block in (3, 7, 11)]
    student = {pair: torch.randn(64, width) for pair in pairs}
    taught = {pair: torch.randn(64, width) for pair in pairs}
    loss = feature_loss(student, taught, PUBLISHED)
    assert loss.shape == (64,)
    assert loss.mean() == pytest.approx(1.0, abs=0.05)
    published = mse_loss(normalize(student["usf_mae", 3]), normalize(taught["usf_mae", 3]))
    assert published == pytest.approx(2 / width, rel=0.1)  # why it was left: it vanishes with the width
    assert feature_loss(taught, taught, PUBLISHED).abs().max() < 1e-6
    opposite = {pair: -3 * one for pair, one in taught.items()}
    assert torch.allclose(feature_loss(opposite, taught, PUBLISHED), torch.tensor(2.0))


def test_teachers_count_by_their_weights_and_blocks_of_one_alike():
    same, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    pairs = [("fetal_clip", 7), ("fetal_clip", 15), ("usf_mae", 3)]
    taught = dict.fromkeys(pairs, same)

    def cost(far):
        student = {pair: other if pair in far else same for pair in pairs}
        return float(feature_loss(student, taught, {"fetal_clip": 0.40, "usf_mae": 0.20}))

    assert cost(pairs) == pytest.approx(1.0)
    assert cost([("usf_mae", 3)]) == pytest.approx(1 / 3)  # .20 of the .60 at hand
    assert cost([("fetal_clip", 15)]) == pytest.approx(1 / 3)  # half of .40 of .60


def test_the_weights_are_fadas():
    assert {name: record.weight for name, record in TEACHERS.items()} == PUBLISHED


@pytest.mark.parametrize(
    ("mode", "tasks"),
    [
        ("none", set()),
        ("selective", {Phase.CLASSIFY, Phase.DETECT, Phase.SEGMENT}),
        ("full", set(Phase)),
    ],
)
def test_tasks_distil_by_mode(mode, tasks):
    assert {phase for phase in Phase if distils(phase, mode)} == tasks


def test_packed_patches_are_averaged_per_image():
    counts = (4, 16, 8)
    parts = [torch.randn(count, 5) for count in counts]
    grid = torch.tensor([[1, 2, 2], [1, 4, 4], [1, 2, 4]])
    batch = Batch({"image_grid_thw": grid}, ((0, 1),) * 3, (1, 1, 1), (Phase.DETECT,) * 3, ("a", "b", "c"))
    expected = torch.stack([part.mean(dim=0) for part in parts])
    torch.testing.assert_close(pooled(torch.cat(parts), batch), expected)
    shuffled = torch.cat([part[torch.randperm(len(part))] for part in parts])
    torch.testing.assert_close(pooled(shuffled, batch), expected)  # as Qwen's 2 x 2 order would
    with pytest.raises(BackendError, match="27 patches where the images have 28"):
        pooled(torch.cat(parts)[:-1], batch)


def test_tiles_are_averaged_per_image():
    tiles = torch.randn(5, 7, 3)
    batch = Batch({}, ((0, 1),) * 2, (2, 3), (Phase.DETECT,) * 2, ("a", "b"))
    expected = torch.stack([tiles[:2].reshape(-1, 3).mean(dim=0), tiles[2:].reshape(-1, 3).mean(dim=0)])
    torch.testing.assert_close(pooled(tiles, batch), expected)


def test_a_projector_stands_on_the_students_side_of_every_teacher_and_block():
    projectors = Projectors(1024, {("fetal_clip", 7): 1024, ("usf_mae", 3): 768})
    shapes = {name: tuple(weight.shape) for name, weight in projectors.named_parameters() if weight.ndim == 2}
    assert shapes == {
        "by_pair.fetal_clip_layer7.0.weight": (1024, 1024),
        "by_pair.fetal_clip_layer7.3.weight": (1024, 1024),
        "by_pair.usf_mae_layer3.0.weight": (896, 1024),
        "by_pair.usf_mae_layer3.3.weight": (768, 896),
    }


class Block(nn.Module):
    """A block whose pass is kept or, under checkpointing, taken again in the backward pass."""

    def __init__(self, *, reentrant):
        super().__init__()
        self.inner, self.reentrant = nn.Linear(4, 4), reentrant

    def forward(self, inputs):
        return recomputed(self.inner, inputs, use_reentrant=self.reentrant)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_a_feature_loss_that_reaches_no_layer_is_noticed():
    """Under reentrant checkpointing the first block's hooked output carries no gradient, and nothing says so."""
    for reentrant in (False, True):
        block = Block(reentrant=reentrant)
        taps = Taps([block], [0])
        with taps.listening() as outputs:
            block(torch.randn(3, 4))
        assert is_reached(outputs[0], list(block.parameters())) is not reentrant


def test_a_pass_taken_again_is_not_listened_to():
    block = nn.Linear(2, 2)
    taps = Taps([block], [0])
    block(torch.ones(1, 2))
    with taps.listening() as outputs:
        block(torch.zeros(1, 2))
    block(torch.ones(1, 2))
    assert torch.equal(outputs[0], block.bias[None])


def features_of(vision, taps, patches, grid):
    batch = Batch({"image_grid_thw": grid}, ((0, 1),) * len(grid), (1,) * len(grid), (), ())
    with taps.listening() as outputs, torch.no_grad():
        vision(patches, grid_thw=grid)
    return {number: pooled(output, batch) for number, output in outputs.items()}


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"])
def test_every_qwen_gives_an_image_the_same_features_alone_and_packed_with_others(family):
    """Also where blocks work window by window and so lay an image's patches in another order."""
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(family, **TINY[family][0])).eval()
    taps, width = Taps(vision_blocks(model), [0, 1]), vision_width(model)
    grid = torch.tensor([[1, 4, 6], [1, 2, 2], [1, 16, 12]])
    patches = [torch.randn(int(size.prod()), TINY[family][1]()["pixel_values"].shape[1]) for size in grid]
    together = features_of(model.model.visual, taps, torch.cat(patches), grid)
    for place, one in enumerate(patches):
        alone = features_of(model.model.visual, taps, one, grid[place : place + 1])
        for number in (0, 1):
            assert together[number].shape == (3, width)
            torch.testing.assert_close(together[number][place], alone[number][0], rtol=1e-4, atol=1e-5)


def test_a_family_that_cuts_images_into_tiles_distils_too(tmp_path):
    save_tiny_idefics3(tmp_path / "model")
    described = tmp_path / "model" / "processor_config.json"
    facts = json.loads(described.read_text())
    facts["image_processor"] |= {"size": {"longest_edge": 128}, "do_image_splitting": True}
    described.write_text(json.dumps(facts))
    data = write_conversations(tmp_path / "data", some_lines(("detect", "interpret"), count=4))
    conversations = read_conversations(data).learnt
    Image.new("L", (128, 32), 90).save(conversations[2].image)  # a wide one is cut into fewer
    cache = write_teacher_cache(tmp_path / "cache.h5", images=4)
    request = a_request(data, tmp_path / "model", tmp_path / "out", distill="selective", teacher_cache=cache)
    student = load_student(request, loading.find(str(tmp_path / "model")), None)
    encoder = Encoder(student.processor, student.base, 1024)
    rows = [encoder.encode(one) for one in conversations]
    assert [row.tiles for row in rows] == [5, 5, 3, 5]
    with torch.no_grad():
        together = student.answer_losses(collate(rows, student.pad_token))
        alone = [student.answer_losses(collate([row], student.pad_token)) for row in rows]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=0)
    curve = train_lora(request)["curve"]
    assert sum(row["distilled"] for row in curve) == 4
    assert all(row["feature"] is None or 0.3 < row["feature"] < 1.7 for row in curve)


@pytest.fixture(scope="module")
def prepared(checkpoint, tmp_path_factory):
    """A training about to begin on ten conversations, two of each task; the cache has the first eight frames."""
    folder = tmp_path_factory.mktemp("distill")
    data = write_conversations(folder / "data", some_lines(count=10))
    cache = write_teacher_cache(folder / "cache.h5", images=8, teachers=tuple(PUBLISHED))
    asked = {"distill": "selective", "teacher_cache": cache, "gradient_checkpointing": True}
    request = a_request(data, checkpoint, folder / "out", **asked)
    student = load_student(request, loading.find(str(checkpoint)), None)
    blocks = vision_blocks(student.base)
    distillation = Distillation(blocks, 64, open_cache(cache), "selective", seed=0)
    encoder = Encoder(student.processor, student.base, 1024)
    fitting = Fitting(student, encoder, read_conversations(data).learnt, request, distillation)
    rows = [encoder.encode(one) for one in fitting.conversations]
    return fitting, rows


def batch_of(prepared, *numbers):
    fitting, rows = prepared
    return collate([rows[number] for number in numbers], fitting.student.pad_token)


def projector_gradients(fitting, batch):
    fitting.optimiser.zero_grad(set_to_none=True)
    _, feature = fitting.losses(batch)
    if feature is not None:
        feature.sum().backward()
    return [weight.grad for weight in fitting.distillation.projectors.parameters()]


def test_interpretations_leave_no_trace_in_the_projectors_and_detections_do(prepared):
    fitting, _ = prepared
    interpretations, detections = batch_of(prepared, 0, 5, 4), batch_of(prepared, 1, 2, 3)
    assert set(interpretations.tasks) == {Phase.INTERPRET, Phase.KEYPOINTS}
    assert all(gradient is None for gradient in projector_gradients(fitting, interpretations))
    assert all(gradient.any() for gradient in projector_gradients(fitting, detections))


def test_in_a_mixed_batch_the_gradient_of_interpretations_is_exactly_zero(prepared):
    fitting, _ = prepared
    batch = batch_of(prepared, 0, 2, 5, 3)  # interpret, detect, interpret, segment
    distillation = fitting.distillation
    rows = distillation.rows(batch)
    assert rows == [1, 3]
    with distillation.listening() as outputs:
        fitting.student.answer_losses(batch)
    packed = {number: output.detach().requires_grad_() for number, output in outputs.items()}
    distillation.loss(packed, batch, rows).sum().backward()
    counts = batch.inputs["image_grid_thw"].prod(-1).tolist()
    for output in packed.values():
        reached = [bool(part.any()) for part in output.grad.split(counts)]
        assert reached == [False, True, False, True]


def test_the_projectors_learn_from_a_mixed_batch_what_they_learn_from_its_detections(prepared):
    fitting, _ = prepared
    mixed = projector_gradients(fitting, batch_of(prepared, 0, 2, 5))
    alone = projector_gradients(fitting, batch_of(prepared, 2))
    for one, other in zip(mixed, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_feature_loss_of_a_frame_is_the_same_alone_and_beside_others(prepared):
    fitting, _ = prepared
    with torch.no_grad():
        fitting._is_feature_gradient_seen = True  # there is none to be seen here
        together = fitting.losses(batch_of(prepared, 0, 1, 2, 3, 7))[1]
        alone = [fitting.losses(batch_of(prepared, number))[1] for number in (1, 2, 3, 7)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-6)
    assert together.std() > 1e-3


def test_the_feature_loss_teaches_the_vision_layers_through_checkpointed_blocks(prepared):
    fitting, _ = prepared
    assert fitting.student.base.model.visual.blocks[0].gradient_checkpointing
    fitting.optimiser.zero_grad(set_to_none=True)
    fitting.losses(batch_of(prepared, 2))[1].sum().backward()
    reached = {name for name, weight in fitting.student.trained() if weight.grad is not None and weight.grad.any()}
    assert reached
    assert all(name.startswith("model.visual.blocks") for name in reached)
    for block in range(3):
        assert any(f"blocks.{block}.attn.qkv.lora_B" in name for name in reached)


def test_a_frame_that_the_cache_lacks_is_trained_without_features(prepared):
    fitting, _ = prepared
    batch = batch_of(prepared, 7, 8)  # both detect or segment; frame 8 has no features
    assert batch.tasks == (Phase.DETECT, Phase.SEGMENT)
    task, feature = fitting.losses(batch)
    assert len(task) == 2
    assert len(feature) == 1


def test_every_teacher_is_compared_at_the_block_that_stands_as_high(prepared):
    blocks = prepared[0].distillation.blocks
    assert blocks == {
        **{("fetal_clip", block): place for place, block in enumerate((7, 15, 23))},
        **{(name, block): place for name in list(PUBLISHED)[1:] for place, block in enumerate((3, 7, 11))},
    }


def test_a_cache_of_another_image_size_is_refused(tmp_path):
    source = a_source("usf_mae", image_size=448)
    write_cache(tmp_path / "cache.h5", ["a"], {("usf_mae", 3): torch.ones(1, 8).numpy()}, {"usf_mae": source})
    assert TeacherCache(tmp_path / "cache.h5").teachers == ("usf_mae",)
    with pytest.raises(BackendError, match="images of side 448 where 224 is asked"):
        open_cache(tmp_path / "cache.h5")


def asked_in_vain(tmp_path, checkpoint, tasks, says, **changes):
    data = write_conversations(tmp_path / "data", [a_line(number, task) for number, task in enumerate(tasks)])
    cache = write_teacher_cache(tmp_path / "cache.h5", images=4)
    request = a_request(
        data, checkpoint, tmp_path / "out", **({"teacher_cache": cache, "distill": "selective"} | changes)
    )
    with pytest.raises((BackendError, InputError), match=says) as caught:
        train_lora(request)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tasks", "changes", "says"),
    [
        (["detect"], {"teacher_cache": None}, "annotator teachers cache"),
        (["interpret", "keypoints"], {}, "no conversation is of a task that distils"),
        (["interpret"] * 4 + ["detect"], {}, "holds none of these images"),
        (["detect", "interpret"], {"preset": "targeted"}, "trains no layer of the vision tower"),
        (["detect", "interpret"], {"preset": "hybrid"}, "trains no layer of the vision tower"),
    ],
)
def test_distillation_that_could_have_no_effect_is_refused(tmp_path, checkpoint, tasks, changes, says):
    asked_in_vain(tmp_path, checkpoint, tasks, says, **changes)
