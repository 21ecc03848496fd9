"""A labelled set replayed as a loop of labelling and training: what orders of labelling are compared on."""

from backends.training.simulation.loop import (
    Journal,
    SimulationSettings,
    describe_run,
    learner_for,
    simulate_loop,
)

__all__ = ["Journal", "SimulationSettings", "describe_run", "learner_for", "simulate_loop"]
