"""Commands of the loop that learns: what to label next, trainings, the whole circle."""

import json
from pathlib import Path
from typing import Any

import click

from annotator.cli.models import LEAST, SEED, SET, train, trains
from annotator.cli.root import Result, cli, printing

LOOP_BACKEND = click.option(
    "--backend",
    type=click.Choice(["embedded", "fada"]),
    default="embedded",
    show_default=True,
    help="Whose serving version counts.",
)
STRATEGY = click.option(
    "--strategy",
    default="auto",
    show_default=True,
    help="auto follows what `simulate` showed; else stratified-random, uncertainty, disagreement, k-center, "
    "typical, hybrid or class-stratified.",
)
SIZE = click.option("--size", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Frames a round.")


@cli.command()
@STRATEGY
@SIZE
@click.option("--relabel", is_flag=True, help="Labelled frames instead whose label is likely wrong.")
@LOOP_BACKEND
@click.option("--no-push", is_flag=True, help="Leave Label Studio as it is.")
@SEED
@printing
def queue(workspace: Path, **options: Any) -> Result:
    """Choose what is labelled next and make it the next tasks in Label Studio."""
    from annotator.commands.queueing import queue_frames

    return queue_frames(workspace, **options)


@train.command("fada")
@click.option("--model", help="Hub id or folder of the base model [FADA's].")
@click.option(
    "--preset",
    type=click.Choice(["fada", "targeted", "extended", "hybrid"]),
    help="Which layers learn: FADA's own, or a strategy of the captioning study [fada].",
)
@click.option(
    "--distill",
    type=click.Choice(["none", "selective", "full"]),
    help="Learn the teachers' features too: on detection, segmentation and views, or on everything [none].",
)
@click.option(
    "--teacher-cache",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="What `teachers cache` wrote.",
)
@trains
@printing
def train_fada_command(workspace: Path, changes: tuple[str, ...], **options: Any) -> Result:
    """Train a LoRA adapter for the language model on conversations about corrected frames."""
    from annotator.commands.training import train_on_corrections

    named = {name: options.pop(name) for name in ("model", "preset", "distill", "teacher_cache")}
    given = [f"{name}={json.dumps(str(value))}" for name, value in named.items() if value is not None]
    return train_on_corrections(workspace, "fada", changes=[*given, *changes], **options)


@train.command("status")
@printing
def train_status_command(workspace: Path) -> Result:
    """Say how the newest trainings stand."""
    from annotator.commands.training import train_status

    return train_status(workspace)


@train.command("cancel")
@click.argument("run_id")
@printing
def train_cancel_command(workspace: Path, run_id: str) -> Result:
    """Stop a training at its next step."""
    from annotator.commands.training import train_cancel

    return train_cancel(workspace, run_id)


@train.command("resume")
@printing
def train_resume_command(workspace: Path) -> Result:
    """Work off what is queued; a killed training goes on where it was."""
    from annotator.commands.training import train_resume

    return train_resume(workspace)


@cli.command("simulate")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A labelled COCO folder with a split and a subject for each image, such as `export dataset` writes.",
)
@click.option("--out", type=click.Path(path_type=Path), help="[workspace/simulations/NAME]")
@click.option("--seeds", type=click.IntRange(min=1), default=12, show_default=True, help="Paired repetitions.")
@click.option(
    "--start", type=click.IntRange(min=1), default=20, show_default=True, help="Frames labelled at first."
)
@click.option("--step", type=click.IntRange(min=1), default=20, show_default=True, help="Frames a round.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--strategy", "strategies", multiple=True, help="Only these; repeat it [all].")
@click.option("--kind", type=click.Choice(["masks", "boxes"]), help="What is learnt [what the set has].")
@printing
def simulate_command(workspace: Path, **options: Any) -> Result:
    """Replay a labelled set as a loop: does an order of labelling save labels over stratified random?"""
    from annotator.commands.simulating import simulate

    return simulate(workspace, **options)


@cli.command()
@click.option("--rounds", type=click.IntRange(min=1), default=1, show_default=True)
@SIZE
@STRATEGY
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    help="Seconds to wait for corrections; 0 looks once, says how many are missing, and exits [for ever].",
)
@LOOP_BACKEND
@LEAST
@SEED
@SET
@printing
def loop(workspace: Path, **options: Any) -> Result:
    """Queue, wait for corrections, train, promote or keep, predict again; go on where a call was interrupted."""
    from annotator.commands.looping import run_loop

    return run_loop(workspace, **options)
