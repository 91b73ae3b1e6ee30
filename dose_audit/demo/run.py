"""The demonstration, end to end: a network's DICOM is made, sent, scanned, audited and reported on this machine.

The objects go the way real ones go: those of one part over C-STORE associations to the listener, those of the others
from a folder and from a zip archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dose_audit.config import Settings
from dose_audit.demo.network import DEVICES, SITES, site_of
from dose_audit.demo.sender import Sender, SendError, presentation_context
from dose_audit.demo.write import NetworkFiles, write_network

__all__ = [
    "DemoResult",
    "SendError",
    "install_tables",
    "network_size",
    "receive_network",
    "send_folder",
    "write_network",
    "write_settings",
]

Progress = Callable[[int, int], None]
_CHUNK = 400
"""Objects an association carries: several associations, as a network's scanners make them."""


@dataclass(slots=True)
class DemoResult:
    """What was sent and scanned, by site: every object that was brought, and how many had come before, the same bytes."""

    sent: Counter[str] = field(default_factory=Counter)
    scanned: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def write_settings(home: Path) -> Path:
    """Leave a settings file in the demonstration's home, so that later commands there work as the demonstration did.

    A file that is there already is left as it is.
    """
    path = home / "dose-audit.toml"
    if path.exists():
        return path
    home.mkdir(parents=True, exist_ok=True)
    lines = [
        'network_name = "Demonstration network"',
        "# The European paediatric levels were transcribed second-hand: they load only by this choice, and stamp the report.",
        "allow_unverified_drl = true",
        "min_free_bytes = 50_000_000",
    ]
    for aet, name in sorted({(site.calling_aet, site.name) for site in SITES}):
        lines += ["", "[[callers]]", f'aet = "{aet}"', 'networks = ["127.0.0.0/8", "::1/128"]', f'site = "{name}"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def receive_network(settings: Settings, files: NetworkFiles, progress: Callable[[str, int, int], None]) -> DemoResult:
    """Send, scan and register the whole network.

    Parameters
    ----------
    settings : Settings
        Its callers must admit the sites' AE titles.
    files : NetworkFiles
        As `write_network` left them.
    progress : callable
        Called with what is going on, how far, and of how many.

    Returns
    -------
    DemoResult
    """
    from dose_audit.ingest import listener_settings, open_spool, scan_paths
    from dose_audit.receive.listener import Listener

    result = DemoResult()
    titles = {site.name: site.calling_aet for site in SITES}
    with open_spool(settings) as spool:
        before = spool.counts()["duplicate"]
        listener = Listener(listener_settings(settings, port=0), spool)
        listener.start()
        try:
            for site, folder in files.listener.items():
                paths = sorted(path for path in folder.rglob("*") if path.is_file())
                result.sent[site] = send_folder(
                    paths,
                    port=listener.port,
                    calling_aet=titles[site],
                    called_aet=settings.aet,
                    progress=lambda done, total, site=site: progress(f"sending from {site}", done, total),
                )
        finally:
            listener.stop()
        result.repeated = spool.counts()["duplicate"] - before
    for site, path in (*files.folder.items(), *files.archive.items()):
        summary = scan_paths(
            settings,
            [path],
            site=site,
            progress=lambda now, site=site: progress(f"scanning {site}", now.files, max(now.files, 1)),
        )
        result.scanned[site] += summary.registered + summary.conflicts + summary.duplicates
        result.repeated += summary.duplicates
        result.unreadable += summary.unreadable
    return result


def send_folder(
    paths: list[Path],
    *,
    port: int,
    calling_aet: str,
    called_aet: str,
    host: str = "127.0.0.1",
    progress: Progress | None = None,
) -> int:
    """Send files as they are by C-STORE, some hundred an association.

    Returns
    -------
    int
        Objects that were answered with success.

    Raises
    ------
    SendError
        The association was refused, or an object was answered with a failure.
    """
    sent = 0
    for start in range(0, len(paths), _CHUNK):
        sent += _send_some(paths[start : start + _CHUNK], host, port, calling_aet, called_aet)
        if progress is not None:
            progress(sent, len(paths))
    return sent


def _send_some(paths: list[Path], host: str, port: int, calling_aet: str, called_aet: str) -> int:
    contexts = {presentation_context(path) for path in paths}
    with Sender(host, port, calling_aet=calling_aet, called_aet=called_aet, contexts=contexts) as sender:
        for path in paths:
            status = sender.store(path)
            if status != 0x0000:
                raise SendError(f"{path.name}: the listener answered 0x{status:04X}")
    return len(paths)


def install_tables(settings: Settings, files: NetworkFiles) -> None:
    """Put the demonstration's equipment register and exam mapping into the store."""
    from dose_audit.audit.mapping import approve_mapping
    from dose_audit.drl import MappingTable
    from dose_audit.store.settings import prepare

    prepare(settings)
    from dose_audit.store.register import import_register

    import_register(files.equipment_csv)
    approve_mapping(MappingTable.from_csv(files.mapping_csv), approved_by="demonstration")


def network_size() -> tuple[int, int]:
    """Sites and devices of the demonstration."""
    return len({site_of(device).name for device in DEVICES}), len(DEVICES)
