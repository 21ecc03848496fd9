"""What the local engine says is what transformers' own generate() says, or what a schema allows."""

import json
import time

import jsonschema
import numpy as np
import pytest
import torch
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForImageTextToText

from annotator.errors import BackendError, FrameError
from backends.engine import Finish, Phase, Question
from backends.local_vlm import LocalEngine
from backends.vlm.processor import chat, load_processor
from tests.backends.vlm.masking import masked_greedy
from tests.tiny_vlm import save_tiny_checkpoint

TOKENS = 24
PROMPTS = {
    Phase.INTERPRET: "Describe this fetal ultrasound frame as a JSON object.",
    Phase.CLASSIFY: "Name its view.",
    Phase.DETECT: "Draw a box around each of these structures: Brain, CSP, LV. Answer as a JSON list.",
    Phase.SEGMENT: "Outline: Brain",
    Phase.KEYPOINTS: "Mark the end points of the crown-rump length.",
}
COORDINATE = {"type": "integer", "minimum": 0, "maximum": 1000}


def record(**fields):
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def series(item, least, most):
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


LABEL = {"type": "string", "enum": ["Brain", "CSP", "NTKpoints"]}
BOX = series(COORDINATE, 4, 4)
SHORT_TEXT = {"type": "string", "minLength": 1, "maxLength": 16}
SCHEMAS = {
    Phase.INTERPRET: record(imaging_plane=SHORT_TEXT, gestational_age=SHORT_TEXT, image_quality=SHORT_TEXT),
    Phase.CLASSIFY: record(label={"type": "string", "enum": ["BPD_PLANE", "V sign", "BPD"]}),
    Phase.DETECT: series(record(bbox_2d=BOX, label=LABEL), 0, 3),
    Phase.SEGMENT: series(record(bbox_2d=BOX, label=LABEL, mask=series(series(COORDINATE, 2, 2), 3, 6)), 1, 1),
    Phase.KEYPOINTS: series(record(keypoints=series(series(COORDINATE, 3, 3), 1, 2), label=LABEL), 0, 2),
}


def noise(seed, size_wh=(400, 300)):
    return np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)


def free(phase, tokens=TOKENS):
    return Question(phase, PROMPTS[phase], None, tokens)


def bound(phase, prompt=None, tokens=400):
    return Question(phase, prompt or PROMPTS[phase], SCHEMAS[phase], tokens)


def an_engine(folder, adapter=None, **more):
    return LocalEngine(str(folder), str(adapter) if adapter else None, device="cpu", **more)


class Fresh:
    """The usual way: the image is processed, encoded and prefilled again for every question."""

    def __init__(self, folder, adapter=None):
        self.processor = load_processor(folder, "qwen3_5")
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
        if adapter is not None:
            self.model = PeftModel.from_pretrained(self.model, adapter).eval()

    def tokens(self, pixels, prompt, count=TOKENS):
        image = Image.fromarray(pixels).convert("RGB")
        batch = self.processor(text=[chat(self.processor, prompt)], images=[image], return_tensors="pt")
        with torch.inference_mode():
            out = self.model.generate(**batch, max_new_tokens=count, do_sample=False)
        return out[0, batch["input_ids"].shape[1] :].tolist()

    def text(self, tokens):
        return self.processor.tokenizer.decode(tokens, skip_special_tokens=True)


@pytest.fixture(scope="module")
def engine(checkpoint):
    return an_engine(checkpoint)


@pytest.fixture(scope="module")
def fresh(checkpoint):
    return Fresh(checkpoint)


def test_a_checkpoint_and_its_adapter_are_built_and_loaded_in_seconds(tmp_path, adapter):
    begun = time.process_time()
    save_tiny_checkpoint(tmp_path / "tiny")
    engine = an_engine(tmp_path / "tiny", adapter)
    engine.open([noise(0)])
    assert time.process_time() - begun < 15


@pytest.mark.parametrize("how", ["bare", "merged", "unmerged"])
def test_free_answers_are_those_of_a_fresh_generate(how, checkpoint, adapter):
    lora = None if how == "bare" else adapter
    engine, fresh = an_engine(checkpoint, lora, merge=how == "merged"), Fresh(checkpoint, lora)
    frames = [noise(0), noise(1, (640, 352)), noise(2, (256, 256))]
    handles = engine.open(frames)
    asked = [(which, phase) for phase in Phase for which in (0, 2, 1)]  # frames interleaved on purpose
    answers = engine.ask([(handles[which], free(phase)) for which, phase in asked])
    different = set()
    for (which, phase), answer in zip(asked, answers, strict=True):
        expected = fresh.tokens(frames[which], PROMPTS[phase])
        assert answer.text == fresh.text(expected)
        different |= set(expected)
        assert answer.finish is (Finish.LENGTH if len(expected) == TOKENS else Finish.STOP)
    assert len(different) > 120, "a model that repeats itself would prove nothing"
    assert len({answer.text for answer in answers}) == len(answers)


def test_an_answer_does_not_depend_on_what_else_is_asked(engine):
    handles = engine.open([noise(3), noise(4, (500, 300))])
    asked = [(handle, question) for question in (free(Phase.CLASSIFY), bound(Phase.DETECT)) for handle in handles]
    together = [answer.text for answer in engine.ask(asked)]
    alone = [engine.ask([one])[0].text for one in reversed(asked)][::-1]
    assert together == alone
    assert len(set(together)) == 4


def test_a_frame_state_is_bit_identical_after_use(engine):
    handle, *_ = engine.open([noise(5)])

    def state():
        prefix = engine._writer._prefixes.get(handle)
        return [part.clone() for layer in prefix.layers for part in vars_of(layer)]

    before = state()
    engine.ask([(handle, bound(Phase.DETECT)), (handle, free(Phase.INTERPRET))])
    assert all(torch.equal(a, b) for a, b in zip(before, state(), strict=True))


def vars_of(layer):
    return [getattr(layer, name) for name in layer.__slots__]


def test_a_dropped_state_is_made_again_and_the_answer_stays(checkpoint, engine):
    small = an_engine(checkpoint, max_states_mib=0)
    few, many = small.open([noise(6), noise(7)]), engine.open([noise(6), noise(7)])
    asked = [free(Phase.INTERPRET), free(Phase.SEGMENT)]
    for handle, other in zip(few, many, strict=True):
        texts = [answer.text for answer in small.ask([(handle, one) for one in asked])]
        assert texts == [answer.text for answer in engine.ask([(other, one) for one in asked])]
    assert small._writer._prefixes.size_bytes == 0


def test_the_store_of_states_is_bounded_and_drops_the_one_used_longest_ago(checkpoint):
    engine = an_engine(checkpoint)
    handles = engine.open([noise(seed) for seed in range(3)])
    store = engine._writer._prefixes
    one = store.size_bytes // 3
    store.limit_bytes = 3 * one
    engine.ask([(handles[0], free(Phase.CLASSIFY, 2))])
    (newest,) = engine.open([noise(9)])
    assert store.size_bytes <= store.limit_bytes
    assert store.get(handles[1]) is None
    assert all(store.get(kept) is not None for kept in (handles[0], handles[2], newest))


def test_a_follow_up_costs_no_second_look_at_the_image(engine):
    (handle,) = engine.open([noise(8)])
    engine.reset_spent()
    engine.ask([(handle, free(Phase.CLASSIFY, 4))])
    assert "vision" not in engine.spent


def test_a_closed_frame_cannot_be_asked_about(engine):
    (handle,) = engine.open([noise(8)])
    engine.close(handle)
    engine.close(handle)
    with pytest.raises(BackendError, match="not open"):
        engine.ask([(handle, free(Phase.CLASSIFY))])


@pytest.mark.parametrize("temperature", [None, 1.0])
def test_every_answer_under_a_schema_parses_and_satisfies_it(checkpoint, temperature):
    seen = []
    for seed in range(5):
        engine = an_engine(checkpoint, temperature=temperature, seed=seed)
        handles = engine.open([noise(10 * seed), noise(10 * seed + 1, (300, 420))])
        asked = [
            (handle, bound(phase, f"{PROMPTS[phase]} ({number})"))
            for phase in Phase
            for handle in handles
            for number in range(2)
        ]
        for (_, question), answer in zip(asked, engine.ask(asked), strict=True):
            assert answer.error is None
            assert answer.finish is Finish.STOP
            jsonschema.validate(json.loads(answer.text), SCHEMAS[question.phase])
            seen.append(answer.text)
    assert len(seen) == 100
    assert len(set(seen)) > 70


def test_the_same_seed_draws_the_same_answer_whatever_the_batch(checkpoint):
    texts = []
    for rows in (1, 16):
        engine = an_engine(checkpoint, temperature=1.0, seed=7, max_rows=rows)
        (handle,) = engine.open([noise(0)])
        texts.append([one.text for one in engine.ask([(handle, bound(phase)) for phase in Phase])])
    assert texts[0] == texts[1]


def test_what_a_schema_forces_is_the_text_that_masking_alone_gives(engine, fresh):
    frame = noise(11)
    (handle,) = engine.open([frame])
    for phase in Phase:
        (answer,) = engine.ask([(handle, bound(phase))])
        text, scores = masked_greedy(fresh, frame, PROMPTS[phase], SCHEMAS[phase])
        assert answer.text == text
        asked_for = [place for place, token in enumerate(answer.tokens) if token.log_probability is not None]
        assert 0 < len(asked_for) < len(answer.tokens), "some tokens must be forced, some chosen"
        for place in asked_for:
            log_probability, removed_mass = scores[place]
            assert answer.tokens[place].log_probability == pytest.approx(log_probability, abs=1e-3)
            assert answer.tokens[place].removed_mass == pytest.approx(removed_mass, abs=1e-4)


def test_token_spans_cover_the_text(engine):
    (handle,) = engine.open([noise(12)])
    for answer in engine.ask([(handle, bound(phase)) for phase in Phase]):
        covered = {place for token in answer.tokens for place in range(token.start, token.stop)}
        assert covered == set(range(len(answer.text)))
        spans = [(token.start, token.stop) for token in answer.tokens]
        assert spans == sorted(spans), "tokens follow each other; those of one character share it"
    (answer,) = engine.ask([(handle, free(Phase.INTERPRET, 60))])
    assert answer.tokens[0].start == 0
    assert answer.tokens[-1].stop == len(answer.text)
    assert all(token.removed_mass == 0.0 for token in answer.tokens)


def test_an_answer_that_is_too_long_says_so(engine):
    (handle,) = engine.open([noise(13)])
    (answer,) = engine.ask([(handle, bound(Phase.SEGMENT, tokens=20))])
    assert answer.finish is Finish.LENGTH
    assert len(answer.tokens) == 20
    (whole,) = engine.ask([(handle, bound(Phase.SEGMENT))])
    assert whole.text.startswith(answer.text)


def test_a_schema_that_no_grammar_can_follow_fails_alone(engine):
    (handle,) = engine.open([noise(14)])
    odd = Question(Phase.DETECT, "boxes", {"type": "no such type"}, 50)
    failed, answered = engine.ask([(handle, odd), (handle, bound(Phase.CLASSIFY))])
    assert failed.finish is Finish.ERROR
    assert failed.text == ""
    assert "schema" in failed.error
    assert json.loads(answered.text)


def test_answers_can_be_left_unbound(checkpoint, engine):
    loose = an_engine(checkpoint, constrained=False)
    (handle,), (other,) = loose.open([noise(15)]), engine.open([noise(15)])
    assert (
        loose.ask([(handle, bound(Phase.DETECT, tokens=20))])[0].text
        == engine.ask([(other, free(Phase.DETECT, 20))])[0].text
    )
    assert "free" in loose.provenance["decoding"]


@pytest.mark.parametrize(
    ("size_wh", "seen_wh"),
    [((8000, 6000), (1024, 768)), ((20, 20), (256, 256)), ((1, 1), (256, 256)), ((1024, 6), None)],
)
def test_frames_of_any_size_are_brought_to_one_that_the_model_takes(checkpoint, size_wh, seen_wh):
    engine = an_engine(checkpoint)
    (handle,) = engine.open([np.full((size_wh[1], size_wh[0]), 90, np.uint8)])
    if seen_wh is not None:
        visual = engine._writer._prefixes.get(handle).length
        overhead = engine._writer._processor.tokenizer("<|im_start|>user\n<|vision_start|><|vision_end|>")
        assert visual - len(overhead["input_ids"]) == seen_wh[0] * seen_wh[1] // 32**2
    assert json.loads(engine.ask([(handle, bound(Phase.CLASSIFY))])[0].text)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 4000), np.uint8),
        np.zeros((10, 10), np.float32),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused_by_its_place_in_the_list(engine, pixels):
    with pytest.raises(FrameError, match="frame 2 of 2"):
        engine.open([noise(0), pixels])


def test_names_tell_weights_apart(checkpoint, adapter, tmp_path):
    save_tiny_checkpoint(tmp_path / "tiny", seed=1)
    engines = [an_engine(checkpoint), an_engine(checkpoint, adapter), an_engine(tmp_path / "tiny")]
    assert len({engine.model.name for engine in engines}) == 3
    for engine in engines:
        assert engine.model.name.endswith(engine.model.content_hash[:12])
        assert engine.provenance["model_sha256"] == engine.model.settings["base_sha256"]
    assert an_engine(checkpoint).model == engines[0].model
    assert engines[0].provenance["adapter_sha256"] is None
    assert engines[1].provenance["adapter_sha256"] == engines[1].model.settings["adapter_sha256"]


def test_half_precision_runs_too(checkpoint):
    engine = an_engine(checkpoint, precision="bf16")
    handles = engine.open([noise(16), noise(17, (300, 500))])
    answers = engine.ask([(handle, bound(phase)) for handle in handles for phase in Phase])
    for answer, phase in zip(answers, [*Phase, *Phase], strict=True):
        jsonschema.validate(json.loads(answer.text), SCHEMAS[phase])
