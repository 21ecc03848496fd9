"""What is written down of a model: one frozen entry each, and the words that entries may use."""

from typing import Annotated, Literal

from pydantic import Field

from annotator.schema import Record

Precision = Literal["bf16", "fp16", "int8", "int4"]
Section = Literal["fetal", "general", "earlier", "medical", "mobile", "hosted", "fada", "compared", "leaderboard"]
Loader = Literal[
    "transformers", "server", "gguf", "hosted", "embedding", "teacher", "trainable", "not_public", "unknown"
]
Availability = Literal["download", "gated", "link", "api", "announced", "not_public", "no_weights", "unknown"]
Tested = Literal["local_tested", "speed_tested", "proxy_tested", "tested"]
Status = Literal["todo", "available", Tested, "failed", "dropped", "published", "in_use"]
FineTuning = Literal["unsloth", "unsloth_untested", "own_method", "api_only", "unknown"]
ScoreKind = Literal["ground_truth", "proxy", "other"]

TRACKED: tuple[Section, ...] = ("fetal", "general", "earlier", "medical", "mobile", "hosted")
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp16", "int8", "int4")
BITS: dict[Precision, int] = {"bf16": 16, "fp16": 16, "int8": 8, "int4": 4}
_PUBLIC = ("download", "gated", "link")
_GIB_PER_GB = 1e9 / 2**30

Words = Annotated[str, Field(strict=True, min_length=1, max_length=300)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Count = Annotated[int, Field(strict=True, ge=1)]


class Metric(Record):
    """How a score was taken. Scores of different metrics are never compared."""

    kind: ScoreKind
    title: Words
    what: Words


class ModelType(Record):
    """A model type that transformers builds without remote code: its class, and what its processor needs beside."""

    builds: Words
    needs: tuple[Words, ...] = ()


class Provider(Record):
    """Who answers over the net: where, with which key, and whether the OpenAI client can speak to it."""

    title: Words
    openai_compatible: bool
    base_url: Annotated[str, Field(pattern=r"^https://[^\s?#@]+[^/\s?#@]$")] | None = None
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    note: Words | None = None


class Score(Record):
    """One figure, a fraction 0..1, with how and by whom it was taken."""

    metric: Words
    value: Share
    source: Words
    approximate: bool = False
    samples: Count | None = None
    approximate_samples: bool = False
    note: Words | None = None


class StatedMemory(Record):
    """Memory as a source writes it, in GB of 10^9 bytes; one with a `doubt` is shown and not used."""

    gb: Positive
    source: Words
    precision: Precision | None = None
    at_most: bool = False
    doubt: Words | None = None


class Memory(Record):
    """Memory for the weights at one precision, GiB; `computed` from the number of parameters, or stated."""

    gib: Positive
    computed: bool


class CatalogEntry(Record):
    """What is known of one model. None and `unknown` mean that nobody says; nothing is guessed."""

    name: Words
    aliases: tuple[Words, ...] = ()
    section: Section
    family: Words
    origin: Words | None = Field(default=None, description="who made it, or the paper that tells of it")
    parameters_b: Positive | None = Field(default=None, description="10^9 parameters")
    active_b: Positive | None = Field(default=None, description="10^9 parameters used for one token, where stated")
    size_note: Words | None = None
    stated_memory: tuple[StatedMemory, ...] = ()
    loader: Loader
    model_type: Words | None = None
    needs: tuple[Words, ...] = Field(default=(), description="what its processor needs beside this program")
    server: Words | None = Field(default=None, description="what can run it, where this program cannot")
    provider: Words | None = None
    served_as: Words | None = Field(default=None, description="its name at the provider or server")
    hub_id: Words | None = None
    base_hub_id: Words | None = Field(default=None, description="what it is an adapter for")
    other_hub_ids: tuple[Words, ...] = ()
    availability: Availability = "unknown"
    licence: Words = "unknown"
    from_memory: tuple[Words, ...] = Field(default=(), description="fields that no page was read for")
    status: Status
    phase: Annotated[int, Field(strict=True, ge=1, le=4)] | None = None
    step: Count | None = Field(default=None, description="place in the plan, counted over all phases")
    fine_tuning: FineTuning = "unknown"
    phone_formats: tuple[Words, ...] = ()
    speed: Words | None = None
    superseded_by: Words | None = None
    u2_bench: Words | None = Field(default=None, description="its name on the leaderboard of U2-BENCH")
    ground_truth: tuple[Score, ...] = Field(default=(), description="against reference answers to fetal frames")
    proxy: tuple[Score, ...] = Field(default=(), description="keyword matching: compares with nothing else")
    other_scores: tuple[Score, ...] = Field(default=(), description="on other data, or by a metric nobody states")
    sources: tuple[Words, ...] = Field(min_length=1)
    notes: Words | None = None

    @property
    def is_public(self) -> bool:
        """Anyone can get the weights, be it after consent to terms."""
        return self.availability in _PUBLIC

    @property
    def is_tracked(self) -> bool:
        """It is a row of the tracker."""
        return self.section in TRACKED

    def memory(self, precision: Precision) -> Memory | None:
        """Return the memory that the weights need, as stated for this precision, else computed; None if unknown.

        Computed means parameters times bits: a lower bound, without activations, cache and what a quantiser keeps
        at full width. Of a mixture of experts all parameters count, not only the active ones.
        """
        for stated in self.stated_memory:
            if stated.precision == precision and not (stated.doubt or stated.at_most):
                return Memory(gib=stated.gb * _GIB_PER_GB, computed=False)
        if self.parameters_b is None:
            return None
        return Memory(gib=self.parameters_b * BITS[precision] / 8 * _GIB_PER_GB, computed=True)

    def score(self, metric: str) -> Score | None:
        """Return the entry's score by one metric; of several the first, which rests on most samples."""
        scores = (*self.ground_truth, *self.proxy, *self.other_scores)
        return next((score for score in scores if score.metric == metric), None)
