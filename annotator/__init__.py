"""What a frame, a finding, a correction and a score are; where they are kept; the command line."""

__version__ = "0.1.0"
