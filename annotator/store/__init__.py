"""Where records are kept: SQLModel tables over SQLite or PostgreSQL, append-only, under one chain of hashes."""

from annotator.store.audit import AuditReport
from annotator.store.links import Links
from annotator.store.store import Store

__all__ = ["AuditReport", "Links", "Store"]
