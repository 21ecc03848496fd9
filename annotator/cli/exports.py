"""Commands that write data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from annotator.cli.root import SPLIT, Result, cli, printing


@cli.group()
def export() -> None:
    """Write data sets."""


def _of_what(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command OUT and the options that say what is exported."""
    options = (
        click.argument("out", type=click.Path(path_type=Path)),
        click.option(
            "--which",
            type=click.Choice(["corrected", "predicted", "truth"]),
            default="corrected",
            show_default=True,
        ),
        SPLIT,
        click.option("--backend", help="With --which predicted: only this backend's."),
    )
    for option in reversed(options):
        command = option(command)
    return command


MASKS = click.option(
    "--masks",
    type=click.Choice(["polygons", "rle"]),
    default="polygons",
    show_default=True,
    help="Both are exact: polygons along pixel edges (RLE where there are holes), or RLE, smaller and faster.",
)


@export.command("coco")
@_of_what
@MASKS
@printing
def export_coco_command(workspace: Path, **options: Any) -> Result:
    """Write OUT/annotations.json and OUT/images/. `import --coco FILE --as-truth` reads all of it back."""
    from annotator.commands.exporting import export_as_coco

    return export_as_coco(workspace, **options)


@export.command("conversations")
@_of_what
@click.option("--profile", type=click.Path(path_type=Path), help="Another prompt profile (TOML).")
@printing
def export_conversations_command(workspace: Path, **options: Any) -> Result:
    """Write OUT/conversations.jsonl and OUT/images/: questions and answers to train a vision-language model on.

    Coordinates are whole numbers of 0..1000, at most half a thousandth of the side off; a mask is one outline.
    """
    from annotator.commands.exporting import export_as_conversations

    return export_as_conversations(workspace, **options)


@export.command("yolo")
@_of_what
@click.option("--task", type=click.Choice(["detect", "segment"]), default="detect", show_default=True)
@printing
def export_yolo_command(workspace: Path, **options: Any) -> Result:
    """Write OUT/data.yaml, OUT/images/ and OUT/labels/, a folder a split."""
    from annotator.commands.exporting import export_as_yolo

    return export_as_yolo(workspace, **options)


@export.command("hf")
@_of_what
@printing
def export_hugging_face_command(workspace: Path, **options: Any) -> Result:
    """Write a folder for `datasets.load_dataset("imagefolder", data_dir=OUT)`."""
    from annotator.commands.exporting import export_as_image_folder

    return export_as_image_folder(workspace, **options)


@export.command("dataset")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option(
    "--which", type=click.Choice(["corrected", "predicted", "truth"]), default="corrected", show_default=True
)
@click.option("--name", help="Name of the data set [that of OUT].")
@click.option("--licence", "licences", multiple=True, metavar="SOURCE=LICENCE", help="Licence of a source.")
@MASKS
@click.option("--diff", nargs=2, metavar="A B", help="Instead: what changed from A to B, folders or versions.")
@printing
def export_dataset_command(
    workspace: Path, out: Path | None, diff: tuple[str, str] | None, **options: Any
) -> Result:
    """Write a version: COCO with splits by subject, DATASET_CARD.md, and dataset.json with the hashes of all."""
    from annotator.commands.datasets import diff_versions, export_dataset

    if diff:
        return diff_versions(workspace, *diff)
    if out is None:
        raise click.UsageError("give OUT, or --diff A B")
    return export_dataset(workspace, out, **options)
