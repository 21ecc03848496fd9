"""BLEURT and AlignScore: random checkpoints of the published form, against the networks written out by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional

from annotator.errors import InputError
from backends.scorers.learnt import AlignScore, Bleurt, sentences

WORDS = ["the", "heart", "is", "normal", ".", "no", "femur", "seen", "liver", "stomach", "A"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SIZES = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
VOCABULARY = len(WORDS) + len(SPECIAL)
PAIRS = [
    ("the heart is normal .", "no femur seen"),
    ("liver", "the stomach is normal"),
    ("no heart seen .", "A liver"),
]


def save_tokenizer(folder: Path) -> Any:
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def bert_weights(prefix: str, embedding: int, positions: int, types: int = 2) -> dict[str, Tensor]:
    """Tensors of a BERT-like encoder by their published names."""
    hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}.embeddings.word_embeddings.weight": (VOCABULARY, embedding),
        f"{prefix}.embeddings.position_embeddings.weight": (positions, embedding),
        f"{prefix}.embeddings.token_type_embeddings.weight": (types, embedding),
        f"{prefix}.embeddings.LayerNorm.weight": (embedding,),
        f"{prefix}.embeddings.LayerNorm.bias": (embedding,),
        f"{prefix}.pooler.dense.weight": (hidden, hidden),
        f"{prefix}.pooler.dense.bias": (hidden,),
    }
    for layer in range(SIZES["num_hidden_layers"]):
        at = f"{prefix}.encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            shapes |= {
                f"{at}.attention.self.{name}.weight": (hidden, hidden),
                f"{at}.attention.self.{name}.bias": (hidden,),
            }
        for name, shape in (
            ("attention.output", (hidden, hidden)),
            ("intermediate", (inner, hidden)),
            ("output", (hidden, inner)),
        ):
            shapes |= {f"{at}.{name}.dense.weight": shape, f"{at}.{name}.dense.bias": shape[:1]}
        for name in ("attention.output", "output"):
            shapes |= {f"{at}.{name}.LayerNorm.weight": (hidden,), f"{at}.{name}.LayerNorm.bias": (hidden,)}
    return {name: torch.randn(shape) * 0.5 for name, shape in shapes.items()}


@pytest.fixture
def bleurt(tmp_path: Path) -> Path:
    folder = tmp_path / "BLEURT-tiny"
    folder.mkdir()
    save_tokenizer(folder)
    config = {
        "model_type": "bleurt",
        "vocab_size": VOCABULARY,
        "embedding_size": 8,
        "max_position_embeddings": 32,
        **SIZES,
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    weights = bert_weights("bleurt", 8, 32)
    weights |= {
        "bleurt.encoder.embedding_projection.weight": torch.randn(12, 8),
        "bleurt.encoder.embedding_projection.bias": torch.randn(12),
        "classifier.weight": torch.randn(1, 12),
        "classifier.bias": torch.randn(1),
    }
    torch.save(weights | {"bleurt.embeddings.position_ids": torch.arange(32)[None]}, folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def align(tmp_path: Path) -> Path:
    folder = tmp_path / "AlignScore-tiny"
    folder.mkdir()
    save_tokenizer(folder)
    config = {
        "model_type": "roberta",
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 40,
        "pad_token_id": 0,
        **SIZES,
    }
    (folder / "config.json").write_text(json.dumps(config | {"type_vocab_size": 1, "layer_norm_eps": 1e-5}))
    torch.manual_seed(1)
    weights = bert_weights("base_model", 12, 40, types=1)
    weights |= {
        f"{head}.weight": torch.randn(n, 12) for head, n in (("tri_layer", 3), ("bin_layer", 2), ("reg_layer", 1))
    }
    weights |= {
        f"{head}.bias": torch.randn(n) for head, n in (("tri_layer", 3), ("bin_layer", 2), ("reg_layer", 1))
    }
    weights["mlm_head.dense.weight"] = torch.randn(12, 12)
    torch.save({"state_dict": weights, "epoch": 3}, folder / "AlignScore-tiny.ckpt")
    return folder


def encode(
    weights: dict[str, Tensor], prefix: str, ids: list[int], types: list[int], first: int, eps: float
) -> Tensor:
    """The first state of a BERT-like encoder, written out."""

    def linear(states: Tensor, name: str) -> Tensor:
        return functional.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(states: Tensor, name: str) -> Tensor:
        return functional.layer_norm(
            states, states.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps
        )

    table = f"{prefix}.embeddings"
    states = (
        weights[f"{table}.word_embeddings.weight"][ids] + weights[f"{table}.token_type_embeddings.weight"][types]
    )
    states = norm(
        states + weights[f"{table}.position_embeddings.weight"][first : first + len(ids)], f"{table}.LayerNorm"
    )
    if f"{prefix}.encoder.embedding_projection.weight" in weights:
        states = linear(states, f"{prefix}.encoder.embedding_projection")
    for layer in range(SIZES["num_hidden_layers"]):
        at = f"{prefix}.encoder.layer.{layer}"
        queries, keys, values = (
            linear(states, f"{at}.attention.self.{name}").reshape(len(ids), 3, 4).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        mixed = (queries @ keys.transpose(1, 2) / math.sqrt(4)).softmax(-1) @ values
        mixed = linear(mixed.transpose(0, 1).reshape(len(ids), 12), f"{at}.attention.output.dense")
        states = norm(mixed + states, f"{at}.attention.output.LayerNorm")
        wide = functional.gelu(linear(states, f"{at}.intermediate.dense"))
        states = norm(linear(wide, f"{at}.output.dense") + states, f"{at}.output.LayerNorm")
    return torch.tanh(linear(states[0], f"{prefix}.pooler.dense"))


def test_bleurt_is_the_published_network_reference_first(bleurt: Path) -> None:
    weights = torch.load(bleurt / "pytorch_model.bin", weights_only=True)
    tokenizer = Tokenizer.from_file(str(bleurt / "tokenizer.json"))
    expected = []
    for said, meant in PAIRS:
        encoded = tokenizer.encode(meant, said)
        pooled = encode(weights, "bleurt", encoded.ids, encoded.type_ids, 0, 1e-12)
        expected.append(float(pooled @ weights["classifier.weight"][0] + weights["classifier.bias"]))
    scorer = Bleurt(bleurt)
    assert scorer.score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 3) for value in expected}) == 3
    assert scorer.name == "BLEURT (BLEURT-tiny)"


def test_only_a_checkpoint_of_that_size_is_called_bleurt_20(bleurt: Path) -> None:
    assert Bleurt(bleurt).metric == "BLEURT"


def test_alignscore_is_the_published_network_and_takes_the_best_piece_of_each_sentence(align: Path) -> None:
    weights = torch.load(align / "AlignScore-tiny.ckpt", weights_only=True)["state_dict"]
    tokenizer = Tokenizer.from_file(str(align / "tokenizer.json"))

    def aligned(context: str, claim: str) -> float:
        encoded = tokenizer.encode(context, claim)
        pooled = encode(weights, "base_model", encoded.ids, [0] * len(encoded.ids), 1, 1e-5)
        logits = functional.linear(pooled, weights["tri_layer.weight"], weights["tri_layer.bias"])
        return float(logits.softmax(-1)[0])

    claim, context = "the liver is normal . A femur", "no heart seen"
    both = (aligned(context, "the liver is normal .") + aligned(context, "A femur")) / 2
    found = AlignScore(align).score([(claim, context), ("liver", "A heart"), ("", "A heart")])
    assert found == pytest.approx([both, aligned("A heart", "liver"), 0.0], abs=1e-5)


def test_a_long_context_is_cut_into_pieces_of_which_the_best_counts(align: Path) -> None:
    context = "the heart is normal . " * 90 + "A liver"
    scorer = AlignScore(align)
    pieces = [" ".join(sentences(context)[start : start + 1]) for start in range(2)]
    assert scorer.score([("no femur", context)])[0] == pytest.approx(
        max(scorer.score([("no femur", piece)])[0] for piece in pieces), abs=1e-5
    )


def drop(folder: Path, name: str) -> None:
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    weights.pop(name)
    (folder / "pytorch_model.bin").unlink()
    save_file(
        {key: value for key, value in weights.items() if value.is_floating_point()}, folder / "model.safetensors"
    )


def add(folder: Path, name: str) -> None:
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save(weights | {name: torch.zeros(1)}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "config.json").unlink(), "missing or not readable"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "model_type is 'bert'"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda folder: (folder / "pytorch_model.bin").unlink(), "no checkpoint"),
        (lambda folder: drop(folder, "classifier.bias"), "does not fit config.json at bias"),
        (lambda folder: add(folder, "another.weight"), "another.weight, which this metric has no place for"),
        (lambda folder: torch.save({"state_dict": Path("x")}, folder / "pytorch_model.bin"), "more than tensors"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_in_one_line(bleurt: Path, damage: Any, told: str) -> None:
    damage(bleurt)
    with pytest.raises(InputError, match=told) as caught:
        Bleurt(bleurt)
    assert "\n" not in str(caught.value)
