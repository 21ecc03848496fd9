"""From prefixes and questions to answers: all rows in one batch, each pass carrying what every row has pending."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backends.vlm.drafts import Draft
from backends.vlm.packed import RowStates, advance
from backends.vlm.timing import Stopwatch


@dataclass(frozen=True, slots=True)
class Choice:
    """The tokens chosen for some rows, their log-probability before the grammar, and the mass that it removed."""

    tokens: list[int]
    log_probabilities: list[float]
    removed_masses: list[float]


def choose(
    logits: Tensor, allowed: Sequence[NDArray[np.bool_] | None], drafts: Sequence[Draft], temperature: float | None
) -> Choice:
    """Choose a token for each row of logits (rows, vocabulary): the likeliest allowed one, or a sampled one."""
    logits = logits.float()
    total = logits.logsumexp(-1)
    legal, removed = logits, torch.zeros_like(total)
    if any(mask is not None for mask in allowed):
        everything = np.ones(logits.shape[1], np.bool_)
        masks = np.stack([everything if mask is None else mask for mask in allowed])
        legal = logits.masked_fill(torch.from_numpy(~masks).to(logits.device), -torch.inf)
        guided = torch.tensor([mask is not None for mask in allowed], device=logits.device)
        removed = torch.where(guided, 1 - (legal.logsumexp(-1) - total).exp(), removed).clamp(0, 1)
    if temperature is None:
        tokens = legal.argmax(-1)
    else:
        odds = (legal / temperature).softmax(-1).cpu()
        drawn = [torch.multinomial(row, 1, generator=draft.random) for row, draft in zip(odds, drafts, strict=True)]
        tokens = torch.cat(drawn).to(logits.device)
    log_probabilities = logits.gather(1, tokens[:, None])[:, 0] - total
    return Choice(tokens.tolist(), log_probabilities.tolist(), removed.tolist())


@torch.inference_mode()
def decode(
    model: Any, states: RowStates, drafts: Sequence[Draft], temperature: float | None, watch: Stopwatch
) -> None:
    """Write all drafts to their end; row i of `states` is the state that draft i goes on from.

    The wall time of a pass is shared out among the rows in it, so that seconds add up over answers.
    """
    live = _going_on(drafts, states)
    part = "prefill"
    while live:
        begun = time.perf_counter()
        with watch.measure(part):
            hidden = advance(model.model.language_model, states, [draft.pending for draft in live])
            logits = model.lm_head(hidden)
        part = "decode"
        with watch.measure("grammar"):
            allowed = [draft.allowed() for draft in live]
        with watch.measure("choice"):
            choice = choose(logits, allowed, live, temperature)
        chosen = zip(live, choice.tokens, choice.log_probabilities, choice.removed_masses, strict=True)
        with watch.measure("grammar"):
            for draft, token, log_probability, removed_mass in chosen:
                draft.accept(token, log_probability, removed_mass)
        for draft in live:
            draft.seconds += (time.perf_counter() - begun) / len(live)
        live = _going_on(live, states)


def _going_on(drafts: Sequence[Draft], states: RowStates) -> list[Draft]:
    """Return the unfinished drafts, and let go of the rows of the others."""
    rows = [row for row, draft in enumerate(drafts) if draft.finish is None]
    if 0 < len(rows) < len(drafts):
        states.keep(rows)
    return [drafts[row] for row in rows]
