"""Which versions of which libraries made the figures, for the methods paragraph."""

import platform
from importlib.metadata import version

from annotator import __version__

LIBRARIES = ("numpy", "pandas", "scipy", "statsmodels")


def versions_used() -> dict[str, str]:
    """Name and version of this tool, Python and the numerical libraries."""
    return {
        "fetal-annotator": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
