"""The four teachers of FADA's distillation: published checkpoints, their features, and the cache of these."""
