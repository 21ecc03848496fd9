"""The command line: the composition root. Each command imports what it needs when called, so help is instant."""

from annotator.cli import (
    benchmarking,
    evaluating,
    exports,
    frames,
    labelstudio,
    learning,
    models,
    running,
    studies,
    teachers,
)
from annotator.cli.root import DISCLAIMER, Result, cli, main

__all__ = [
    "DISCLAIMER",
    "Result",
    "benchmarking",
    "cli",
    "evaluating",
    "exports",
    "frames",
    "labelstudio",
    "learning",
    "main",
    "models",
    "running",
    "studies",
    "teachers",
]
