"""Learnt metrics of text, from folders on this machine: BLEURT and AlignScore; nothing is fetched or unpickled."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from annotator.errors import InputError

_BATCH = 32
_BLEURT_20 = (32, 1152)  # layers and width of the checkpoint of that name
_CONTEXT_WORDS = 350
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(\"'])")

Pairs = Sequence[tuple[str, str]]
Weights = dict[str, Tensor]


class Bleurt:
    """Sellam et al. 2020 (arXiv:2004.04696), in the published PyTorch form of the checkpoints.

    The network is ELECTRA's encoder, with embeddings narrower than its states, BERT's pooler and one output.
    """

    judges_by = "reference"

    def __init__(self, folder: Path) -> None:
        """Read config.json, the weights and the tokenizer; InputError where something is missing or over."""
        from transformers import ElectraConfig, ElectraModel

        config = _config(folder, "bleurt")
        kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
        more = ("hidden_act", "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id")
        named = {name: config[name] for name in (*kept, *more) if name in config}
        width = config.get("embedding_size") or config["hidden_size"]
        self._encoder = ElectraModel(
            ElectraConfig(**{"layer_norm_eps": 1e-12} | named, embedding_size=width)
        ).eval()
        self._pooler = nn.Linear(config["hidden_size"], config["hidden_size"])
        self._output = nn.Linear(config["hidden_size"], 1)
        _load_all(
            folder,
            _weights(folder),
            {
                "bleurt.encoder.embedding_projection": (self._encoder, "embeddings_project"),
                "bleurt.embeddings": (self._encoder, "embeddings"),
                "bleurt.encoder": (self._encoder, "encoder"),
                "bleurt.pooler.dense": (self._pooler, ""),
                "classifier": (self._output, ""),
            },
            ignored=("bleurt.embeddings.position_ids",),
        )
        self._tokenizer = _tokenizer(folder)
        self._most_tokens = int(config.get("max_position_embeddings", 512))
        is_20 = (config["num_hidden_layers"], config["hidden_size"]) == _BLEURT_20
        self.metric = "BLEURT-20" if is_20 else "BLEURT"
        self.name = f"{self.metric} ({folder.name})"

    @torch.inference_mode()
    def score(self, pairs: Pairs) -> list[float]:
        """Score (answer, reference) pairs; about 0..1 for BLEURT-20, and not bounded."""
        found: dict[tuple[str, str], float] = {}
        distinct = sorted(set(pairs), key=lambda pair: len(pair[0]) + len(pair[1]))
        for chunk in _chunks(distinct):
            batch = _encoded(self._tokenizer, [(meant, said) for said, meant in chunk], self._most_tokens)
            states = self._encoder(**batch).last_hidden_state
            scores = self._output(torch.tanh(self._pooler(states[:, 0]))).flatten()
            found |= zip(chunk, scores.tolist(), strict=True)
        return [found[pair] for pair in pairs]


class AlignScore:
    """Zha et al. 2023 (arXiv:2305.16739), mode nli_sp: how far the reference supports the answer, 0..1.

    The context is cut into pieces of about 350 words, the claim into sentences; of each sentence the best piece's
    probability of 'aligned' counts, and their mean is the score. Sentences end at . ! or ? before a capital, a
    digit or a quote, where the authors ask NLTK.
    """

    metric = "AlignScore"
    judges_by = "reference"

    def __init__(self, folder: Path) -> None:
        """Read RoBERTa's config.json and tokenizer, and the checkpoint; InputError where it does not fit."""
        from transformers import RobertaConfig, RobertaModel

        config = RobertaConfig(**_config(folder, "roberta"))
        self._encoder = RobertaModel(config).eval()
        self._three = nn.Linear(config.hidden_size, 3)
        _load_all(
            folder,
            _weights(folder),
            {"base_model": (self._encoder, ""), "tri_layer": (self._three, "")},
            ignored=("mlm_head", "bin_layer", "reg_layer", "base_model.embeddings.position_ids"),
        )
        self._tokenizer = _tokenizer(folder)
        self._most_tokens = config.max_position_embeddings - 2
        self.name = f"AlignScore ({folder.name}, nli_sp)"

    def score(self, pairs: Pairs) -> list[float]:
        """Score (answer, reference) pairs; an empty answer claims nothing and scores 0."""
        parts = {pair: (_pieces(pair[1]), sentences(pair[0])) for pair in dict.fromkeys(pairs)}
        wanted = sorted(
            {(piece, claim) for pieces, claims in parts.values() for piece in pieces for claim in claims}
        )
        aligned: dict[tuple[str, str], float] = {}
        for chunk in _chunks(wanted):
            aligned |= zip(chunk, self._aligned(chunk), strict=True)
        found = {
            pair: sum(max(aligned[piece, claim] for piece in pieces) for claim in claims) / max(len(claims), 1)
            for pair, (pieces, claims) in parts.items()
        }
        return [found[pair] for pair in pairs]

    @torch.inference_mode()
    def _aligned(self, pairs: Pairs) -> list[float]:
        batch = _encoded(self._tokenizer, pairs, self._most_tokens, truncation="only_first")
        batch.pop("token_type_ids")  # RoBERTa knows one type
        logits = self._three(self._encoder(**batch).pooler_output)
        return [float(value) for value in logits.softmax(-1)[:, 0]]


def sentences(text: str) -> list[str]:
    """Part a text into sentences.

    >>> sentences("Head seen. BPD 4.5 cm, approx. 20 weeks! Normal")
    ['Head seen.', 'BPD 4.5 cm, approx.', '20 weeks!', 'Normal']
    """
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def _pieces(context: str) -> list[str]:
    parts = sentences(context) or [""]
    together = max(len(parts) // (len(context.split()) // _CONTEXT_WORDS + 1), 1)
    return [" ".join(parts[start : start + together]) for start in range(0, len(parts), together)]


def _config(folder: Path, model_type: str) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{path}: missing or not readable; give the folder of the metric's checkpoint") from None
    if config.get("model_type") != model_type:
        raise InputError(f"{path}: model_type is {config.get('model_type')!r}; this metric needs {model_type!r}")
    return config


def _weights(folder: Path) -> Weights:
    """The tensors of the one checkpoint in a folder, safetensors first."""
    found = [path for pattern in ("*.safetensors", "*.ckpt", "*.bin") for path in sorted(folder.glob(pattern))]
    if not found:
        raise InputError(f"{folder}: no checkpoint; put its .safetensors, .bin or .ckpt there")
    path = found[0]
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever else a pickle holds is not looked at
        raise InputError(
            f"{path}: holds more than tensors ({type(error).__name__}); save its state_dict as safetensors instead"
        ) from None
    weights: Weights = content.get("state_dict", content)
    return weights


def _load_all(
    folder: Path, weights: Weights, places: dict[str, tuple[nn.Module, str]], ignored: tuple[str, ...]
) -> None:
    """Load every tensor exactly once; InputError names what is over, missing or of another shape."""
    parts: dict[int, tuple[nn.Module, Weights]] = {id(module): (module, {}) for module, _ in places.values()}
    for name, tensor in weights.items():
        prefix = next((prefix for prefix in places if name.startswith(prefix + ".")), None)
        if name.startswith(ignored):
            continue
        if prefix is None:
            raise InputError(f"{folder}: the checkpoint holds {name}, which this metric has no place for")
        module, inside = places[prefix]
        parts[id(module)][1][".".join(part for part in (inside, name[len(prefix) + 1 :]) if part)] = tensor.float()
    for module, state in parts.values():
        wanted = {name for name, _ in module.named_parameters()}
        lost = sorted(wanted - set(state)) or sorted(set(state) - set(module.state_dict()))
        if lost:
            raise InputError(f"{folder}: the checkpoint does not fit config.json at {lost[0]}")
        try:
            module.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise InputError(f"{folder}: {str(error).splitlines()[-1].strip()}") from None
        module.eval().requires_grad_(False)


def _tokenizer(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{path} is missing; convert the checkpoint's own tokenizer to it once")
    special = folder / "special_tokens_map.json"
    named = json.loads(special.read_text(encoding="utf-8")) if special.is_file() else {}
    return PreTrainedTokenizerFast(tokenizer_file=str(path), **({"pad_token": "[PAD]"} | named))


def _encoded(tokenizer: Any, pairs: Pairs, most: int, truncation: str | bool = True) -> dict[str, Any]:
    firsts, seconds = (list(texts) for texts in zip(*pairs, strict=True))
    options: dict[str, Any] = {"padding": True, "max_length": most, "return_tensors": "pt"}
    options["return_token_type_ids"] = True
    try:
        return dict(tokenizer(firsts, seconds, truncation=truncation, **options))
    except Exception:  # a claim longer than the model: then both are cut
        return dict(tokenizer(firsts, seconds, truncation=True, **options))


def _chunks(items: Sequence[tuple[str, str]]) -> list[Sequence[tuple[str, str]]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
