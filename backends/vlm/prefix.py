"""A frame, encoded and prefilled once: the state that every question about it starts from.

All up to and including <|vision_end|> is the same for every question. The state is kept per frame, never decoded
on, and only copied; it can always be made again from the pixels, so the store may drop the one used longest ago.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from backends.vlm.packed import AttentionState, DeltaState, LayerState, RowStates
from backends.vlm.timing import Stopwatch

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Prefix:
    """One frame's state of one row. `rope_delta` belongs to this image, not to the model (which forgets it)."""

    layers: tuple[LayerState, ...]
    length: int
    rope_delta: int

    @property
    def size_bytes(self) -> int:
        """Memory that it holds."""
        return sum(part.nbytes for layer in self.layers for part in parts_of(layer))


def parts_of(layer: LayerState) -> tuple[Tensor, Tensor]:
    """The two tensors of a layer's state."""
    return (layer.keys, layer.values) if isinstance(layer, AttentionState) else (layer.conv, layer.memory)


@torch.inference_mode()
def prefill(model: Any, inputs: dict[str, Tensor], watch: Stopwatch) -> list[Prefix]:
    """Run the vision tower and the language model over frames of one size; one Prefix each.

    `inputs` is what the processor makes of the text up to <|vision_end|> and the images.
    """
    body = model.model
    ids, grid = inputs["input_ids"], inputs["image_grid_thw"]
    with watch.measure("vision"):
        seen = body.get_image_features(inputs["pixel_values"], grid, return_dict=True)
    with watch.measure("prefill"):
        positions, deltas = body.get_rope_index(ids, inputs["mm_token_type_ids"], image_grid_thw=grid)
        cache = DynamicCache(config=model.config.get_text_config())
        body(
            input_ids=ids,
            mm_encoder_outputs={"image": seen},
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        return [
            Prefix(tuple(_one_row(layer, row) for layer in cache.layers), ids.shape[1], int(deltas[row]))
            for row in range(len(ids))
        ]


def _one_row(layer: Any, row: int) -> LayerState:
    """Take one row out of a layer of transformers' cache; a copy where others share the tensor."""

    def own(states: Tensor) -> Tensor:
        return states if len(states) == 1 else states[row : row + 1].clone()

    if hasattr(layer, "recurrent_states"):
        inputs = layer.conv_states[0][row : row + 1].transpose(1, 2).contiguous()
        return DeltaState(inputs, own(layer.recurrent_states[0]))
    return AttentionState(own(layer.keys), own(layer.values))


def stack(prefixes: Sequence[Prefix], room: int) -> RowStates:
    """Copy prefixes into rows of one batch, with space for `room` more tokens each."""
    lengths = [prefix.length for prefix in prefixes]
    capacity = max(lengths) + room
    device = parts_of(prefixes[0].layers[0])[0].device
    layers: list[LayerState] = []
    for states in zip(*(prefix.layers for prefix in prefixes), strict=True):
        first, second = zip(*(parts_of(state) for state in states), strict=True)
        if isinstance(states[0], AttentionState):
            layers.append(AttentionState(_side_by_side(first, capacity), _side_by_side(second, capacity)))
        else:
            layers.append(DeltaState(torch.cat(first), torch.cat(second)))
    deltas = [prefix.rope_delta for prefix in prefixes]
    return RowStates(layers, torch.tensor(lengths, device=device), torch.tensor(deltas, device=device))


def _side_by_side(parts: Sequence[Tensor], capacity: int) -> Tensor:
    first = parts[0]
    rows = first.new_zeros((len(parts), first.shape[1], capacity, first.shape[3]))
    for row, part in enumerate(parts):
        rows[row, :, : part.shape[2]] = part[0]
    return rows


class PrefixStore:
    """Prefixes by handle number, bounded in MiB: beyond that the one used longest ago goes."""

    def __init__(self, limit_mib: int) -> None:
        self.limit_bytes = limit_mib * MIB
        self._held: OrderedDict[int, Prefix] = OrderedDict()

    def get(self, number: int) -> Prefix | None:
        """Return a frame's prefix and note its use; None where there is none, or none any more."""
        if number in self._held:
            self._held.move_to_end(number)
        return self._held.get(number)

    def put(self, number: int, prefix: Prefix) -> None:
        """Keep a prefix, and drop old ones as needed. One that is larger than the limit is not kept."""
        self._held[number] = prefix
        while self._held and self.size_bytes > self.limit_bytes:
            self._held.popitem(last=False)

    def drop(self, number: int) -> None:
        """Forget a frame's prefix, if it is held."""
        self._held.pop(number, None)

    @property
    def size_bytes(self) -> int:
        """Memory that all held prefixes take."""
        return sum(prefix.size_bytes for prefix in self._held.values())
