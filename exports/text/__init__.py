"""Scores of written answers: per field of an interpretation, and of any text against a reference text."""
