"""The command line: the composition root. Each command imports what it needs when called, so help is instant."""

from annotator.cli import exports, frames, labelstudio, models, running, studies
from annotator.cli.root import DISCLAIMER, Result, cli, main

__all__ = [
    "DISCLAIMER",
    "Result",
    "cli",
    "exports",
    "frames",
    "labelstudio",
    "main",
    "models",
    "running",
    "studies",
]
