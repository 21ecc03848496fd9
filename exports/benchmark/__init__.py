"""Comparisons of models on the same frames and questions: files of a run, what they add up to, pages."""
