"""One spooled object to what the store keeps of it: an exam's part, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from dose_audit.config import Settings
from dose_audit.extract.errors import ReadError
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.ingest.sites import site_of
from dose_audit.receive.spool import SpooledObject
from dose_audit.store.parts import ReceivedPart
from dose_audit.store.places import where

__all__ = ["READER", "ObjectReader"]

READER = "dose_audit.extract:read_part"
"""The function that reads one object, as ``module:name`` so that every worker process finds it."""

ROUTED = {"phantom": "routed to phantom analysis", "drop": "dropped by a routing rule"}
"""Routes that lead away from dose extraction, and what the ledger says of them."""


class ObjectReader:
    """Reads spooled objects for one installation.

    Parameters
    ----------
    settings : Settings
    key : bytes
        Of the patient pseudonyms.
    reader : str
        See `READER`.
    """

    def __init__(self, settings: Settings, key: bytes, reader: str = READER) -> None:
        module, _, name = reader.partition(":")
        self._read: Callable[..., Any] = getattr(import_module(module), name)
        self._callers = settings.callers
        self._default_site = None if settings.default_site == "Unassigned" else settings.default_site
        self._options = ReadOptions(
            with_identifiers=settings.keep_identifiers,
            pseudonym_key=key,
            phantom_patterns=settings.phantom_patterns,
        )

    def __call__(self, spooled: SpooledObject, refusal: str | None = None) -> ReceivedPart:
        """Read one object. Never raises on account of the object: what cannot be read is quarantined with a reason.

        Parameters
        ----------
        spooled : SpooledObject
        refusal : str, optional
            Why it must not be read at all (an earlier worker died of it).
        """
        part = ReceivedPart(
            sop_instance_uid=spooled.sop_instance_uid,
            sha256=spooled.sha256,
            size_bytes=spooled.size,
            received_at=spooled.received_at,
            sop_class_uid=spooled.sop_class_uid or None,
            source=spooled.source,
            site=site_of(spooled.source, self._callers) or self._default_site,
            spool_id=spooled.id,
        )
        if refusal is not None:
            return _quarantined(part, refusal)
        if spooled.route in ROUTED:
            part.state, part.reason = "not_relevant", ROUTED[spooled.route]
            return part
        try:
            if spooled.path.stat().st_size != spooled.size:
                return _quarantined(part, "the file is not the one that was registered")
            found = self._read(spooled.path, options=self._options)
        except ReadError as error:
            return _quarantined(part, str(error))
        except FileNotFoundError:
            return _quarantined(part, "the file is gone")
        except OSError as error:
            return _quarantined(part, f"the file cannot be read ({error.strerror or type(error).__name__})")
        except MemoryError:
            return _quarantined(part, "reading it takes more memory than one object may")
        except Exception as error:  # noqa: BLE001  a defect of ours meets one object, not the night's work
            return _quarantined(part, f"cannot be read: {where(error)}")
        if isinstance(found, NotDose):
            part.state, part.reason, part.kind = "not_relevant", found.reason, found.kind
            return part
        part.exam = found
        if found.sources:
            # The object's own word goes before the sender's: events name their source by it.
            part.sop_instance_uid = found.sources[0].sop_instance_uid or part.sop_instance_uid
            part.sop_class_uid = found.sources[0].sop_class_uid or part.sop_class_uid
        return part


def _quarantined(part: ReceivedPart, reason: str) -> ReceivedPart:
    part.exam = None
    part.state, part.reason = "quarantined", " ".join(reason.split())[:500]
    return part
