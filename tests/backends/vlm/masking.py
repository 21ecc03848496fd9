"""An independent constrained greedy decoding: every token asked of generate(), none forced ahead."""

import json

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher
from PIL import Image
from transformers import LogitsProcessor, LogitsProcessorList

from backends.vlm.processor import chat


class _Mask(LogitsProcessor):
    def __init__(self, matcher, tokenizer, start):
        self.matcher, self.tokenizer, self.start = matcher, tokenizer, start
        self.scores = []

    def __call__(self, input_ids, scores):
        written = input_ids[0, self.start :].tolist()
        if written:
            assert self.matcher.consume_token(written[-1])
        only = torch.full_like(scores, -torch.inf)
        if self.matcher.is_stopped():
            only[:, self.tokenizer.eos_token_id] = 0.0
            return only
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        legal = np.flatnonzero(np.unpackbits(bits, count=scores.shape[1], bitorder="little"))
        only[:, legal] = scores[:, legal]
        odds = scores[0].softmax(-1)
        kept = float(odds[torch.from_numpy(legal)].sum())
        self.scores.append((float(odds[only[0].argmax()].log()), 1.0 - kept))
        return only


def masked_greedy(fresh, pixels, prompt, schema):
    """The text, and for each token its log-probability and the mass that the mask removed."""
    tokenizer = fresh.processor.tokenizer
    vocabulary = fresh.model.config.text_config.vocab_size
    guide = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=tokenizer.eos_token_id)
    spaced = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    matcher = LLMatcher(guide, LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=spaced))
    text = [chat(fresh.processor, prompt)]
    batch = fresh.processor(text=text, images=[Image.fromarray(pixels)], return_tensors="pt")
    mask = _Mask(matcher, tokenizer, batch["input_ids"].shape[1])
    with torch.inference_mode():
        out = fresh.model.generate(
            **batch, max_new_tokens=500, do_sample=False, logits_processor=LogitsProcessorList([mask])
        )
    return tokenizer.decode(out[0, mask.start :], skip_special_tokens=True), mask.scores
