"""One typed Settings, read once from the environment (`ANNOTATOR_*`)."""

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from annotator.errors import InputError


def _default_labelstudio_env() -> Path:
    """Beside the environment that this program runs in."""
    return Path(sys.prefix).parent / ".venv-labelstudio"


class Settings(BaseSettings):
    """What can be set from outside; every field is an `ANNOTATOR_<NAME>` variable."""

    model_config = SettingsConfigDict(env_prefix="ANNOTATOR_", frozen=True)

    database_url: str | None = Field(default=None, description="another database than the workspace's SQLite file")
    labelstudio_env: Path = Field(default_factory=_default_labelstudio_env)
    labelstudio_port: int = Field(default=8080, ge=1, le=65535)
    backend_port: int = Field(default=9090, ge=1, le=65535)
    batch_size: int = Field(default=8, ge=1, le=256, description="frames a model sees at once")
    threads: int = Field(default=2, ge=1, description="frames side by side, a processor thread each")
    max_pixels: int = Field(default=50_000_000, ge=1, description="larger images are refused")
    predict_seconds: float = Field(default=80.0, gt=0, lt=100, description="Label Studio gives up at 100 s")
    training: dict[str, Any] = Field(default_factory=dict, description="settings of trainers, as JSON")
    least_corrections: int = Field(default=20, ge=1, description="new ones that a training needs")
    margin_dice: float = Field(default=0.01, ge=0, le=1, description="how much worse a new version may be")
    margin_detection: float = Field(default=0.03, ge=0, le=1, description="the same, F1 at IoU .50")
    margin_plane: float = Field(default=0.05, ge=0, le=1, description="the same, accuracy on a plane")
    adjudicator: str | None = Field(default=None, description="the reader whose word counts where readers disagree")
    contradiction: Literal["newest", "leave_out"] = Field(
        default="newest", description="what counts where readers disagree and the adjudicator is silent"
    )


def read_settings() -> Settings:
    """Read the environment; InputError names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"ANNOTATOR_{'_'.join(str(part) for part in first['loc'])}".upper()
        raise InputError(f"{name}={first['input']!r} cannot be used: {first['msg']}") from error
