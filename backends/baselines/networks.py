"""The two networks, from configuration and with random weights: image (N, 1, S, S) in -1..1 -> tokens.

`vit_gpt2` is transformers' encoder-decoder of a ViT and a GPT-2 with cross-attention. `cnn_transformer` is the
study's other baseline in small: convolutional features, a transformer encoder over them, a small decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import GPT2Config, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

from backends.baselines.settings import CaptionerSettings, Kind

IGNORED = -100


@dataclass(frozen=True)
class Marks:
    """The numbers of tokens: how many there are, padding, and the end of an answer."""

    count: int
    pad: int
    end: int


class Captioner(Protocol):
    """Images in, the next tokens out."""

    def loss(self, images: Tensor, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of `targets` (N, T), where `IGNORED` does not count, after `tokens` (N, T)."""
        ...

    def write(self, image: Tensor, start: int, most: int) -> list[int]:
        """Write greedily about one image (1, 1, S, S), after the token `start`; END is the last unless cut."""
        ...


def build(kind: Kind, settings: CaptionerSettings, marks: Marks) -> nn.Module:
    """Return a network of random weights that is a Captioner."""
    return VitGpt2(settings, marks) if kind == "vit_gpt2" else CnnTransformer(settings, marks)


class VitGpt2(nn.Module):
    """ViT encoder, GPT-2 decoder with cross-attention."""

    def __init__(self, settings: CaptionerSettings, marks: Marks) -> None:
        super().__init__()
        sight = ViTConfig(
            image_size=settings.image_side_px,
            patch_size=settings.patch_px,
            num_channels=1,
            hidden_size=settings.width,
            intermediate_size=4 * settings.width,
            num_hidden_layers=settings.encoder_layers,
            num_attention_heads=settings.heads,
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
        )
        words = GPT2Config(
            vocab_size=marks.count,
            n_positions=settings.longest_tokens + 1,
            n_embd=settings.width,
            n_layer=settings.decoder_layers,
            n_head=settings.heads,
            resid_pdrop=settings.dropout,
            embd_pdrop=settings.dropout,
            attn_pdrop=settings.dropout,
            bos_token_id=marks.end,
            eos_token_id=marks.end,
            pad_token_id=marks.pad,
            add_cross_attention=True,
            is_decoder=True,
        )
        config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(sight, words)
        config.pad_token_id, config.decoder_start_token_id = marks.pad, marks.end
        self.model = VisionEncoderDecoderModel(config)
        self._marks = marks

    def loss(self, images: Tensor, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy."""
        there = (tokens != self._marks.pad).long()
        logits: Tensor = self.model(
            pixel_values=images, decoder_input_ids=tokens, decoder_attention_mask=there, use_cache=False
        ).logits
        return _cross_entropy(logits, targets)

    @torch.inference_mode()
    def write(self, image: Tensor, start: int, most: int) -> list[int]:
        """Write greedily."""
        written = self.model.generate(
            pixel_values=image,
            decoder_start_token_id=start,
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=self._marks.end,
            pad_token_id=self._marks.pad,
        )
        return [int(token) for token in written[0, 1:]]


class CnnTransformer(nn.Module):
    """Convolutional features, a transformer encoder over them, a small transformer decoder."""

    def __init__(self, settings: CaptionerSettings, marks: Marks) -> None:
        super().__init__()
        width = settings.width
        self.features = nn.Sequential(*_stages((width // 8, width // 4, width // 2, width)))
        side = settings.image_side_px // 16
        self.places = nn.Parameter(0.02 * torch.randn(1, side * side, width))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, settings.heads, 4 * width, settings.dropout, **_LAYER),
            settings.encoder_layers,
            enable_nested_tensor=False,
        )
        self.words = nn.Embedding(marks.count, width)
        self.order = nn.Parameter(0.02 * torch.randn(1, settings.longest_tokens + 1, width))
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(width, settings.heads, 4 * width, settings.dropout, **_LAYER),
            settings.decoder_layers,
            nn.LayerNorm(width),
        )
        nn.init.normal_(self.words.weight, std=0.02)
        self._marks = marks

    def loss(self, images: Tensor, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy."""
        return _cross_entropy(self._logits(self._seen(images), tokens), targets)

    @torch.inference_mode()
    def write(self, image: Tensor, start: int, most: int) -> list[int]:
        """Write greedily."""
        seen, tokens = self._seen(image), torch.tensor([[start]])
        for _ in range(min(most, self.order.shape[1] - 1)):
            following = self._logits(seen, tokens)[:, -1:].argmax(dim=-1)
            tokens = torch.cat([tokens, following], dim=1)
            if int(following) == self._marks.end:
                break
        return [int(token) for token in tokens[0, 1:]]

    def _seen(self, images: Tensor) -> Tensor:
        grid: Tensor = self.features(images)
        encoded: Tensor = self.encoder(grid.flatten(2).transpose(1, 2) + self.places)
        return encoded

    def _logits(self, seen: Tensor, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        causal = torch.triu(torch.full((length, length), float("-inf")), diagonal=1)
        inner: Tensor = self.decoder(self.words(tokens) + self.order[:, :length], seen, tgt_mask=causal)
        return inner @ self.words.weight.T  # tied to the embeddings


_LAYER: Any = {"batch_first": True, "norm_first": True, "activation": "gelu"}


def _stages(channels: Sequence[int]) -> list[nn.Module]:
    """Each halves the side: together a stride of 16."""
    layers: list[nn.Module] = []
    for given, wanted in zip((1, *channels), channels, strict=False):
        groups = next(count for count in (8, 4, 2, 1) if wanted % count == 0)
        layers += [nn.Conv2d(given, wanted, 3, stride=2, padding=1), nn.GroupNorm(groups, wanted), nn.GELU()]
        layers += [nn.Conv2d(wanted, wanted, 3, padding=1), nn.GroupNorm(groups, wanted), nn.GELU()]
    return layers


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
