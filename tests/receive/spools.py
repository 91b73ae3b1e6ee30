"""An object put into a spool."""

from __future__ import annotations

from typing import Any

from dose_audit.receive.spool import Spool

EXPLICIT = "1.2.840.10008.1.2.1"
CLASS = "1.2.840.10008.5.1.4.1.1.88.67"


def put(spool: Spool, instance: str, data: bytes = b"\x08\0\x05\0CS\x0a\0ISO_IR 100", **extra: Any) -> Any:
    incoming = spool.begin(
        source="test", sop_class_uid=CLASS, sop_instance_uid=instance, transfer_syntax_uid=EXPLICIT, **extra
    )
    incoming.write(data)
    return incoming.commit()
