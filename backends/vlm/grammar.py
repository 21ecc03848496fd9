"""JSON schemas as grammars (llguidance): which tokens may come next, and which must."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import llguidance.hf
import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from annotator.errors import BackendError

# FADA learnt json.dumps' own separators; anything else would be a text that it has never seen.
SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Guide:
    """Follows one answer through its grammar. Once `complete`, only the end of the text may follow."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary

    @property
    def complete(self) -> bool:
        """Nothing can be added. The matcher may stop before the end-of-text token is seen."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> NDArray[np.bool_]:
        """Return which tokens may come next, (vocabulary,)."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=self._vocabulary, bitorder="little").view(np.bool_)
        self._check()
        return allowed

    def accept(self, token: int) -> None:
        """Go on by one token that was allowed."""
        self._matcher.consume_token(token)
        self._check()

    def take_forced(self) -> list[int]:
        """Return the tokens that must come next, and go on past them."""
        forced: list[int] = self._matcher.compute_ff_tokens()
        if forced:
            self._matcher.consume_tokens(forced)
        self._check()
        return forced

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().splitlines()[0]
            raise BackendError(f"the answer's schema cannot be followed: {reason}")


class Grammars:
    """Grammars over one tokenizer; building it takes seconds for a real vocabulary, so there is one per model."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Collection[int]) -> None:
        self._vocabulary = vocabulary
        try:
            self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=sorted(ends))
        except ValueError as error:
            raise BackendError(f"no grammar can be put on this model's tokenizer: {error}") from None
        self._known = len(tokenizer)
        self._silent = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._compiled: dict[str, LLMatcher] = {}

    def guide(self, schema: Mapping[str, Any]) -> Guide:
        """Return a guide at the start of an answer; BackendError where the schema says what no grammar can."""
        text = json.dumps(schema)
        if text not in self._compiled:
            grammar = LLMatcher.grammar_from_json_schema(text, overrides=SPACING)
            self._compiled[text] = LLMatcher(self._tokenizer, grammar, log_level=0)
        guide = Guide(self._compiled[text].deep_copy(), self._vocabulary)
        guide._check()
        return guide

    def token_bytes(self, token: int) -> bytes:
        """Return what a token adds to the text: nothing for markers and for numbers without a token."""
        if token in self._silent or token >= self._known:
            return b""
        return bytes(self._tokenizer.decode_bytes([token]))
