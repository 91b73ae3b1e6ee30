"""A listener whose negotiation is canned, so that it starts in a tenth of a second: to be killed many times."""

from __future__ import annotations

import sys
from pathlib import Path

from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.negotiate import Answer
from dose_audit.receive.spool import Spool


class Canned:
    """Gives the answer that pynetdicom's code gave in another process."""

    def __init__(self, pdu: bytes, context: tuple[int, str, str]) -> None:
        self._answer = Answer(pdu, True, {context[0]: context[1:]}, 131072)

    def warm(self) -> None:
        """Nothing to start."""

    def answer(self, request: bytes, *, max_pdu: int) -> Answer:
        """The same to everybody."""
        return self._answer


def main() -> None:
    folder, fsync, pdu, abstract_syntax, transfer_syntax = sys.argv[1:]
    spool = Spool(Path(folder), fsync=fsync == "fsync", min_free_bytes=0)
    canned = Canned(bytes.fromhex(pdu), (1, abstract_syntax, transfer_syntax))
    listener = Listener(ListenerSettings(port=0), spool, negotiator=canned)  # type: ignore[arg-type]
    listener.start()
    print(listener.port, flush=True)
    listener.serve_forever()


if __name__ == "__main__":
    main()
