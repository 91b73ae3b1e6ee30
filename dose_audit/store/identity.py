"""Keeps patients out of the store: the pseudonym key, and what is removed or replaced before a part is written."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from dose_audit.config import Settings
from dose_audit.extract.exam import Exam

__all__ = ["Protection", "keyed_hash", "load_key", "protect", "protection"]

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Protection:
    """How identifiers are treated on the way into the store."""

    key: bytes
    keep_identifiers: bool = False


def protection(settings: Settings) -> Protection:
    """The installation's protection; makes its key on first use."""
    return Protection(load_key(settings.key_path), settings.keep_identifiers)


def load_key(path: Path) -> bytes:
    """Read the pseudonym key; make it, readable by its owner only, when there is none.

    Parameters
    ----------
    path : Path
        File with 64 hexadecimal digits.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        The file holds no key. It is never replaced: another key would part every patient from their earlier exams.
    OSError
        It can neither be read nor made.

    Notes
    -----
    The key appears under its name complete or not at all: it is written beside it and linked, so that of two
    processes that start together one wins and both read the same key.
    """
    path = Path(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(part, path)
            except FileExistsError:
                pass  # another process was first; its key counts
        finally:
            part.unlink()
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise ValueError(
            f"{path} holds no pseudonym key ({2 * _KEY_BYTES} hexadecimal digits); restore it from backup."
        )
    return key


def keyed_hash(text: str | None, key: bytes, purpose: str) -> str | None:
    """HMAC-SHA-256 of a normalised identifier, as hexadecimal text.

    Parameters
    ----------
    text : str or None
        Spaces around it and the case of letters do not matter.
    key : bytes
    purpose : str
        Keeps the same number under two meanings apart.

    Examples
    --------
    >>> keyed_hash(" a123 ", b"key", "accession") == keyed_hash("A123", b"key", "accession")
    True
    >>> keyed_hash("", b"key", "accession") is None
    True
    """
    text = (text or "").strip().upper()
    if not text:
        return None
    return hmac.new(key, f"{purpose}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def protect(exam: Exam, protection: Protection) -> None:
    """Replace or remove in place what identifies a patient or a member of staff.

    Notes
    -----
    Accession number and Study ID become keyed hashes: they lead straight to a person in any hospital system. Names are
    removed even if the reader was asked to keep them: the store has the last word on what it holds.
    """
    if protection.keep_identifiers:
        return
    exam.accession_number = keyed_hash(exam.accession_number, protection.key, "accession")
    exam.study_id = keyed_hash(exam.study_id, protection.key, "study id")
    exam.performing_physician_name = exam.operators_name = exam.referring_physician_name = None
    patient = exam.patient
    patient.patient_id = patient.name = patient.birth_date = None
    if exam.report is not None:
        for observer in exam.report.observers:
            if observer.type == "person":
                observer.name = None
    for event in exam.events:
        check = getattr(event, "dose_check", None)
        if check is not None:
            check.person_name = None
        if event.type == "administration" and event.identifiers:
            event.identifiers = {}
