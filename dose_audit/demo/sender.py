"""A modality for the demonstration: opens an association and stores files as they are, without decoding them."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["SendError", "Sender"]


class SendError(RuntimeError):
    """The listener did not take an association or an object."""


class Sender:
    """A storage SCU for the SOP Classes and transfer syntaxes of the files that it is given.

    Parameters
    ----------
    host, port : str, int
    calling_aet, called_aet : str
    contexts : set of (str, str)
        SOP Class UID and transfer syntax UID of what will be sent.
    """

    def __init__(
        self, host: str, port: int, *, calling_aet: str, called_aet: str, contexts: set[tuple[str, str]]
    ) -> None:
        from pynetdicom import AE, _config

        from dose_audit.receive.answers import keep_answers

        # A damaged object has to arrive as damaged as it is, so the data set is sent as it lies in the file.
        _config.STORE_SEND_CHUNKED_DATASET = True
        entity = AE(ae_title=calling_aet)
        for sop_class, syntax in sorted(contexts):
            entity.add_requested_context(sop_class, syntax)
        self._association: Any = entity.associate(host, port, ae_title=called_aet, max_pdu=131_072)
        if not self._association.is_established:
            raise SendError(f"{called_aet} at {host}:{port} refused the association of {calling_aet}")
        # Command and data set go out as two small writes: without this each object waits 40 ms for an acknowledgement.
        self._association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_answers(self._association)

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._association.release()
        else:
            self._association.abort()

    def store(self, path: Path) -> int:
        """Send one file and return the status that the listener answered.

        Raises
        ------
        SendError
            No answer came.
        """
        status = self._association.send_c_store(path)
        if "Status" not in status:
            raise SendError(f"{path.name}: no answer to C-STORE")
        return int(status.Status)


def presentation_context(path: Path) -> tuple[str, str]:
    """SOP Class UID and transfer syntax UID that a file's meta information names."""
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(path)
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
