"""How a model is asked and understood."""
