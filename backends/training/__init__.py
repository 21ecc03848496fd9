"""How the models are made: the embedded networks here, the adapters of the larger models beside them."""
