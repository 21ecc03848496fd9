"""The chain of hashes over everything that was ever appended.

Each link holds the hash of a row's payload and of the link before it, so that a changed, removed, inserted or
reordered row is found by walking the chain. What a chain alone cannot show is its end being cut off together with
the rows: note the head that `annotator verify` prints, and compare.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, insert, select
from sqlalchemy.engine import Connection

from annotator.store.tables import AUDIT, CHAINED

GENESIS = "0" * 64


@dataclass
class AuditReport:
    """What a walk along the chain found; clean where `problems` is empty."""

    rows: int = 0
    head: str = GENESIS
    problems: list[str] = field(default_factory=list)


def sha256_text(content: str) -> str:
    """Return the SHA-256 of UTF-8 text in hex."""
    return hashlib.sha256(content.encode()).hexdigest()


def link_hash(previous_hash: str, kind: str, record_id: str, payload_sha256: str) -> str:
    """Return the hash of one link."""
    return sha256_text("\n".join((previous_hash, kind, record_id, payload_sha256)))


def append(connection: Connection, kind: str, records: Sequence[tuple[str, str]]) -> None:
    """Add a link for each (record_id, payload), inside the transaction that writes the rows themselves."""
    newest = select(AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)
    previous = connection.execute(newest).scalar() or GENESIS
    links = []
    for record_id, payload in records:
        digest = sha256_text(payload)
        following = link_hash(previous, kind, record_id, digest)
        links.append(
            {
                "kind": kind,
                "record_id": record_id,
                "payload_sha256": digest,
                "previous_hash": previous,
                "hash": following,
            }
        )
        previous = following
    if links:
        connection.execute(insert(AUDIT), links)


def verify_chain(connection: Connection) -> AuditReport:
    """Walk the chain and compare every append-only row with its link."""
    report = AuditReport()
    links: dict[str, dict[str, str]] = {kind: {} for kind in CHAINED}
    for link in connection.execute(select(AUDIT).order_by(AUDIT.c.seq).execution_options(yield_per=5000)):
        expected = link_hash(report.head, link.kind, link.record_id, link.payload_sha256)
        if link.previous_hash != report.head or link.hash != expected:
            report.problems.append(f"chain broken at link {link.seq} ({link.kind} {link.record_id})")
        report.head = link.hash
        report.rows += 1
        links.setdefault(link.kind, {})[link.record_id] = link.payload_sha256
    for kind, table in CHAINED.items():
        report.problems.extend(_compare_rows(connection, kind, table, links[kind]))
    return report


def _compare_rows(connection: Connection, kind: str, table: Table, links: dict[str, str]) -> Iterable[str]:
    order = {record_id: position for position, record_id in enumerate(links)}
    last = -1
    for row in connection.execute(select(table).order_by(table.c.seq).execution_options(yield_per=2000)):
        digest = links.pop(row.record_id, None)
        if digest is None:
            yield f"{kind} {row.record_id} was inserted outside the chain"
            continue
        if digest != sha256_text(row.payload) or not _columns_agree(row._asdict()):
            yield f"{kind} {row.record_id} was changed after it was written"
        if order[row.record_id] < last:
            yield f"{kind} {row.record_id} was moved"
        last = order[row.record_id]
    for record_id in links:
        yield f"{kind} {record_id} was removed"


def _columns_agree(row: dict[str, Any]) -> bool:
    content = json.loads(row["payload"])
    return all(value == content[key] for key, value in row.items() if key not in ("seq", "record_id", "payload"))
