"""Scores of texts that need a network, each from a folder on this machine."""
