"""What came and what became of it, in numbers: objects by state and by sender, drops and refusals."""

from datetime import UTC, datetime

from .ledger import Ledger
from .objects import END_STATES, OPEN_STATES
from .rows import DUPLICATE_FROM, SOURCES
from .tallies import Tallies

NOT_RECORDED = "not recorded"
"""Sender of duplicates that came before their senders were noted."""


class Accounts:
    """The part of a spool that counts.

    Attributes
    ----------
    ledger : Ledger
        Where the numbers are kept.
    """

    ledger: Ledger
    _tallies: Tallies

    def counts(self) -> dict[str, int]:
        """How many objects are in each state; ``received`` is their sum.

        Duplicates at the door were received too, though nothing was stored for them: they count as ``duplicate``.
        """
        counts = dict.fromkeys(OPEN_STATES + END_STATES, 0)
        counts.update(self.ledger.read("SELECT state, COUNT(*) FROM objects GROUP BY state"))
        counts["duplicate"] += self._at_the_door()
        return {"received": sum(counts.values()), **counts}

    def kept_bytes(self) -> int:
        """Bytes of the objects that lie in the spool itself; files that were scanned in place lie elsewhere."""
        return int(self.ledger.read("SELECT COALESCE(SUM(size), 0) FROM objects WHERE in_place = 0")[0][0])

    def _at_the_door(self) -> int:
        """Duplicates for which nothing was stored."""
        rows = self.ledger.read("SELECT value FROM counters WHERE kind = 'duplicate' AND name = 'at the door'")
        return rows[0][0] if rows else 0

    def tally(self, kind: str, name: str, *, durable: bool = False) -> None:
        """Count something that leaves no row: ``kind`` is ``drop`` or ``refusal``, ``name`` the rule or reason.

        Parameters
        ----------
        durable : bool
            Wait until the count is on disk (an acknowledged object that is dropped); otherwise it goes with the next
            commit.
        """
        self._tallies.add(kind, name)
        if durable:
            self.flush_tallies()

    def flush_tallies(self) -> None:
        """Write counters that are still in memory; nothing where there are none."""
        if not self._tallies.waiting:
            return
        self.ledger.transact(lambda c: self._tallies.write(c, self.ledger))

    def drops(self) -> dict[str, dict[str, int]]:
        """What was acknowledged and dropped, and what was refused: ``{"drop": {rule: n}, "refusal": {reason: n}}``."""
        result: dict[str, dict[str, int]] = {"drop": {}, "refusal": {}}
        rows = self.ledger.read("SELECT kind, name, value FROM counters WHERE kind IN ('drop', 'refusal')")
        rows += [(*key, value) for key, value in self._tallies.unwritten().items()]
        for kind, name, value in rows:
            group = result.setdefault(kind, {})
            group[name] = group.get(name, 0) + value
        return result

    def sources(self) -> list[dict[str, object]]:
        """Every sender: objects and bytes kept, when the last of them came, and duplicates for which nothing was kept.

        Over all senders ``objects`` and ``duplicates`` add up to ``received`` of `counts`. ``last_at`` is None for who
        brought duplicates only; those of an earlier version, which did not note their sender, are of ``not recorded``.
        """
        kept = {s: {"source": s, "objects": n, "bytes": b, "last_at": at} for s, n, b, at in self.ledger.read(SOURCES)}
        again = dict(self.ledger.read("SELECT name, value FROM counters WHERE kind = ?", (DUPLICATE_FROM,)))
        if (unknown := self._at_the_door() - sum(again.values())) > 0:
            again[NOT_RECORDED] = unknown
        nothing = {"objects": 0, "bytes": 0, "last_at": None}
        return [
            {"source": s, **nothing, **kept.get(s, {}), "duplicates": again.get(s, 0)} for s in sorted({*kept, *again})
        ]

    def received_since(self, moment: datetime) -> int:
        """How many objects were recorded since a moment (UTC)."""
        text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
        return self.ledger.read("SELECT COUNT(*) FROM objects WHERE received_at >= ?", (text,))[0][0]
