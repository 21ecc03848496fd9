"""The two baselines learn what they are shown, are written whole, and say what they cannot do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from annotator.errors import BackendError, InputError
from backends.baselines.engine import CaptionerEngine
from backends.baselines.files import image_tensor
from backends.baselines.settings import CaptionerSettings, is_captioner
from backends.baselines.tokens import learn_tokens
from backends.engine import Finish, Phase, Question
from backends.training.captioning import train_captioner
from backends.training.captioning_data import read_examples
from tests.backends.baselines.conversations import a_line, an_answer, write_conversations

KINDS = ("vit_gpt2", "cnn_transformer")
TINY = CaptionerSettings(
    image_side_px=32,
    patch_px=8,
    width=48,
    heads=4,
    encoder_layers=1,
    decoder_layers=1,
    dropout=0.0,
    vocabulary=400,
    longest_tokens=64,
    epochs=130,
    batch=4,
    learning_rate=5e-3,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conversations")
    write_conversations(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def trained(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    losses: list[float] = []
    summary = train_captioner(request.param, data, folder, TINY, losses.append)
    return folder, {**summary, "told": losses}


def test_the_loss_falls_and_the_four_answers_are_known_by_heart(trained: tuple[Path, Any], data: Path) -> None:
    folder, summary = trained
    assert summary["losses"][-1] < 0.1 * summary["losses"][0]
    assert summary["told"] == pytest.approx(summary["losses"])
    engine = CaptionerEngine(folder)
    handles = engine.open([np.asarray(Image.open(data / f"images/{n}.png")) for n in range(4)])
    answers = engine.ask([(handle, Question(Phase.INTERPRET, "?", None, 64)) for handle in handles])
    assert [answer.text for answer in answers] == [an_answer(n) for n in range(4)]
    assert {answer.finish for answer in answers} == {Finish.STOP}


def test_what_it_was_not_trained_on_is_answered_by_an_error(trained: tuple[Path, Any]) -> None:
    engine = CaptionerEngine(trained[0])
    (handle,) = engine.open([np.zeros((20, 30), np.uint8)])
    (answer,) = engine.ask([(handle, Question(Phase.DETECT, "?", None, 64))])
    assert answer.error == "it was trained to interpret only, not to detect"
    assert (answer.text, answer.finish) == ("", Finish.ERROR)


def test_an_answer_that_is_cut_by_the_token_limit_says_so(trained: tuple[Path, Any]) -> None:
    engine = CaptionerEngine(trained[0])
    (handle,) = engine.open([np.zeros((20, 30, 3), np.uint8)])
    (answer,) = engine.ask([(handle, Question(Phase.INTERPRET, "?", None, 3))])
    assert answer.finish is Finish.LENGTH
    engine.close(handle)
    with pytest.raises(BackendError, match="is not open"):
        engine.ask([(handle, Question(Phase.INTERPRET, "?", None, 3))])


def test_equal_files_are_the_same_model_and_others_are_not(trained: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = trained
    first, second = CaptionerEngine(folder).model, CaptionerEngine(folder).model
    assert first == second
    assert is_captioner(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors", "tokenizer.json"]


def damaged(folder: Path, name: str, content: bytes | None, source: Path) -> Path:
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("model.safetensors", None, "model.safetensors is missing"),
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("model.safetensors", b"\x00" * 64, "not the weights that model.json describes"),
        ("model.json", b'{"kind": "parrot"}', "describes no baseline"),
        ("model.json", b"[", "describes no baseline"),
    ],
)
def test_a_damaged_folder_is_refused_by_the_file_at_fault(
    trained: tuple[Path, Any], tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    with pytest.raises(BackendError, match=told):
        CaptionerEngine(damaged(tmp_path, name, content, trained[0]))


def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(data: Path, tmp_path: Path) -> None:
    short = TINY.model_copy(update={"epochs": 4})
    train_captioner("cnn_transformer", data, tmp_path / "whole", short)

    def die_in_the_third(loss: float) -> None:
        told.append(loss)
        if len(told) == 3:
            raise KeyboardInterrupt

    told: list[float] = []
    with pytest.raises(KeyboardInterrupt):
        train_captioner("cnn_transformer", data, tmp_path / "killed", short, die_in_the_third)
    assert not is_captioner(tmp_path / "killed")
    train_captioner("cnn_transformer", data, tmp_path / "killed", short)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


def test_only_whole_interpretations_of_frames_that_are_not_held_out_are_learnt(tmp_path: Path) -> None:
    lines = [
        a_line("images/0.png", "interpret", "kept", variant="all", split="train"),
        a_line("images/0.png", "interpret", "a part", variant="fields_1_4"),
        a_line("images/0.png", "interpret", "held out", variant="all", split="test"),
        a_line("images/0.png", "detect", "[]"),
        a_line("images/0.png", "classify", "kept too"),
    ]
    (tmp_path / "conversations.jsonl").write_text("".join(lines))
    assert [example.answer for example in read_examples(tmp_path)] == ["kept", "kept too"]


NO_TALK = {"task": "interpret", "image": "a.png", "messages": []}
BAD_DATA = [
    ("", "no answer to learn from"),
    ("{\n", "line 1 is no training conversation"),
    (
        json.dumps(NO_TALK) + "\n",
        "line 1 is no training conversation",
    ),
    (a_line("images/absent.png", "interpret", "text"), r"absent\.png: the image of a conversation cannot be read"),
]


@pytest.mark.parametrize(("content", "told"), BAD_DATA)
def test_data_that_cannot_be_learnt_from_is_named(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "conversations.jsonl").write_text(content)
    with pytest.raises(InputError, match=told):
        train_captioner("cnn_transformer", tmp_path, tmp_path / "out", TINY)


def test_a_folder_without_conversations_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no conversations\.jsonl"):
        train_captioner("vit_gpt2", tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="no baseline 'parrot'"):
        train_captioner("parrot", tmp_path, tmp_path / "out")  # type: ignore[arg-type]


def test_every_text_can_be_written_in_the_tokens_learnt() -> None:
    tokens = learn_tokens(["the fetal head"] * 3, ["interpret"], 300)
    for text in ("the fetal head", "Größe 35 µm, 日本語 😀", '{"a": "\\n"}'):
        assert tokens.decode(tokens.encode(text, add_special_tokens=False), skip_special_tokens=True) == text


def test_a_frame_keeps_its_shape_and_is_centred_on_black() -> None:
    square = image_tensor(np.full((50, 100), 255, np.uint8), 32)
    assert square.shape == (1, 32, 32)
    assert (square[0, 8:24] == 1.0).all()
    assert (square[0, :8] == -1.0).all()
    assert (square[0, 24:] == -1.0).all()
