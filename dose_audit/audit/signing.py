"""Signs frozen runs: which role vouched for which bytes, when and in what words; and whether they are still those bytes.

A run's seal holds the hashes of its files. The store holds the hash of the seal as each person saw it, so that neither
the files nor the seal can be changed later without its showing, unless the store is changed with them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.audit.seal import SEAL, broken_seals
from dose_audit.texts import named_role

if TYPE_CHECKING:
    from dose_audit.store.models import AuditRun

__all__ = ["RunNotSoundError", "SignedRun", "sign_run", "signed_runs", "unsound"]


class RunNotSoundError(ValueError):
    """The run is not what was frozen, or nobody froze it here: nobody should vouch for it."""


@dataclass(frozen=True, slots=True)
class SignedRun:
    """A run of the store and who has signed it.

    Attributes
    ----------
    run_id : str
    made_at : datetime
    since, until : date or None
        The period, both ends included.
    exit_code : int or None
        What the audit ended with.
    folder : Path or None
        Where its files are; None where they are not among this home's reports.
    signatures : tuple of dict
        ``by``, ``at``, ``statement``, ``seal_sha256``; the first is the oldest.
    """

    run_id: str
    made_at: dt.datetime
    since: dt.date | None
    until: dt.date | None
    exit_code: int | None
    folder: Path | None
    signatures: tuple[dict[str, str], ...]


def signed_runs(reports_dir: Path) -> list[SignedRun]:
    """Every run that the store knows, the latest first.

    Parameters
    ----------
    reports_dir : Path
        Where the runs of this home lie. Django must be set up.
    """
    from dose_audit.store.models import AuditRun

    found = []
    for row in AuditRun.objects.prefetch_related("signatures").order_by("-run_id"):
        folder = reports_dir / row.run_id
        here = folder if (folder / "report.json").is_file() else None
        found.append(SignedRun(row.run_id, row.created_at, row.since, row.until, row.exit_code, here, _signatures(row)))
    return found


def unsound(folder: Path) -> list[str]:
    """Say what speaks against a run's being what was frozen, and what was signed.

    Parameters
    ----------
    folder : Path
        Of the run. Django must be set up.

    Returns
    -------
    list of str
        A sentence each: a file that was changed or is missing, a store that does not know the run or knows it with
        other inputs, a signature under other files. Empty where all agrees.
    """
    from dose_audit.store.models import AuditRun

    problems = broken_seals(folder)
    if problems:
        return problems
    if not (folder / SEAL).is_file():
        return [f"{SEAL} is missing: the run is of a version that did not seal runs yet."]
    # Sealed, hence as the program wrote it.
    run = json.loads((folder / "report.json").read_text(encoding="utf-8"))["run"]
    row = AuditRun.objects.prefetch_related("signatures").filter(run_id=run["id"]).first()
    if row is None:
        return [f"the store has no record of a run {run['id']}: it was made with another home."]
    if row.frozen_input_sha256 != run["frozen_input_sha256"]:
        problems.append(
            f"the store's record of the run has the inputs {row.frozen_input_sha256[:12]}…, its report "
            f"{run['frozen_input_sha256'][:12]}…."
        )
    seal = _seal_sha256(folder)
    problems += [
        f"{one['by']} signed other files on {one['at'][:10]}: seal {one['seal_sha256'][:12]}…, now {seal[:12]}…."
        for one in _signatures(row)
        if one["seal_sha256"] != seal
    ]
    return problems


def sign_run(folder: Path, *, by: str, statement: str) -> SignedRun:
    """Record that a person vouches for a run as it lies in a folder.

    Parameters
    ----------
    folder : Path
        Of the run. Django must be set up.
    by : str
        The role that signs.
    statement : str
        What is said of the run, in the signer's words.

    Raises
    ------
    RoleError, ValueError
        Without a role or a statement.
    RunNotSoundError
        When something speaks against the run (`unsound`).
    """
    from django.db import transaction

    import dose_audit
    from dose_audit.store.models import AuditRun, Signature

    role = named_role(by)
    if not statement.strip():
        raise ValueError("a run is signed with a statement")
    problems = unsound(folder)
    if problems:
        raise RunNotSoundError(f"{folder} cannot be signed: {' '.join(problems)}")
    run = json.loads((folder / "report.json").read_text(encoding="utf-8"))["run"]
    with transaction.atomic():
        row = AuditRun.objects.get(run_id=run["id"])
        Signature.objects.create(
            run=row,
            by_role=role,
            statement=statement.strip(),
            at=dt.datetime.now(dt.UTC),
            seal_sha256=_seal_sha256(folder),
            engine=dose_audit.__version__,
        )
    return SignedRun(row.run_id, row.created_at, row.since, row.until, row.exit_code, folder, _signatures(row))


def _signatures(row: AuditRun) -> tuple[dict[str, str], ...]:
    return tuple(
        {
            "by": one.by_role,
            "at": one.at.astimezone().isoformat(timespec="seconds"),
            "statement": one.statement,
            "seal_sha256": one.seal_sha256,
        }
        for one in sorted(row.signatures.all(), key=lambda one: (one.at, one.pk))
    )


def _seal_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / SEAL).read_bytes()).hexdigest()
