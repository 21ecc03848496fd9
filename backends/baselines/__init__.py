"""The floor under a comparison: two small captioners that are trained from scratch, as in the study."""
