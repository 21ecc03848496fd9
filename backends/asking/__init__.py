"""Models that are measured: asked question by question, in a process of their own."""
