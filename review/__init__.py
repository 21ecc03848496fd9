"""What the sonographer thinks of a model: the review panel is built here."""
