"""What the commands do: the only place, with cli.py, where the packages meet."""
