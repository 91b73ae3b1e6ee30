"""A listener in a process of its own, to be measured, killed and stopped: prints its port, serves until told."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from dose_audit.receive.listener import Listener, ListenerSettings
from dose_audit.receive.spool import Spool


def main() -> None:
    order = json.loads(sys.argv[1])
    if "longest_file" in order:  # the kernel then refuses to write on, as a full disk does
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["longest_file"], resource.RLIM_INFINITY))
    spool = Spool(Path(order["spool"]), fsync=order.get("fsync", True), min_free_bytes=order.get("min_free_bytes", 0))
    listener = Listener(ListenerSettings(port=0, **order.get("settings", {})), spool)
    listener.start()
    print(listener.port, listener.negotiator.pid, flush=True)
    listener.serve_forever(order.get("grace_s", 10))
    spool.close()


if __name__ == "__main__":
    main()
