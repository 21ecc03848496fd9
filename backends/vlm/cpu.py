"""Weights laid out for a few tokens at a time on a CPU.

For two to some thirty tokens torch's fp32 product reads the weights as if there were many more; oneDNN's blocked
layout takes about half the time there. For a single token, and for a prefill, the plain layout is a little faster,
so small models keep both.
"""

from typing import Any

import torch
from torch import Tensor, nn

ROWS_HINT = 8
FEW = range(2, 65)  # tokens for which the blocked layout pays
BOTH_LAYOUTS_BELOW_BYTES = 4 * 2**30


class PackedLinear(nn.Module):
    """An `nn.Linear` for inference in fp32 with its weight in oneDNN's layout, and in the plain one if `both`."""

    def __init__(self, linear: nn.Linear, *, both: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS_HINT)
        self._plain = linear.weight.detach() if both else None
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs (..., in) times the weight, (..., out)."""
        if self._plain is not None and inputs.numel() // self.in_features not in FEW:
            return nn.functional.linear(inputs, self._plain, self._bias)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self._bias, "none", [], "")
        return out


def pack_linears(model: Any) -> None:
    """Replace the linear layers of the language model and its head, on a CPU, in fp32, without an open adapter."""
    if any(".lora_" in name for name, _ in model.named_modules()):
        return  # peft reads the plain weights of what it wraps
    if model.device.type != "cpu" or model.dtype != torch.float32 or not torch._C._has_mkldnn:
        return
    body = model.model.language_model
    both = sum(weight.nbytes for weight in body.parameters()) < BOTH_LAYOUTS_BELOW_BYTES
    for module in body.modules():
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, PackedLinear(child, both=both))
    model.lm_head = PackedLinear(model.lm_head, both=both)
