"""The embedded model: small networks that run on a laptop's processor, and the Backend over them."""

from backends.embedded.backend import HEAD, SHIPPED_WEIGHTS, EmbeddedBackend

__all__ = ["HEAD", "SHIPPED_WEIGHTS", "EmbeddedBackend"]
