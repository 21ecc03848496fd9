"""The embedded model learns from corrections, without forgetting what nobody corrected."""

from backends.training.finetune.training import (
    FINE_TUNE_DEFAULTS,
    FineTuneSettings,
    TrainingCancelledError,
    fine_tune_embedded,
    fine_tune_settings,
)

__all__ = [
    "FINE_TUNE_DEFAULTS",
    "FineTuneSettings",
    "TrainingCancelledError",
    "fine_tune_embedded",
    "fine_tune_settings",
]
