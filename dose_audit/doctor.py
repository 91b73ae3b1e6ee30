"""Looks an installation over: each check says what it found, whether that will do, and what to do if not."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dose_audit.config import Settings

__all__ = ["Check", "examine"]

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Check:
    """One finding about the installation; ``status`` is ``ok``, ``warn`` or ``fail``."""

    name: str
    status: str
    detail: str


def examine(settings: Settings) -> list[Check]:
    """Run every check; one that breaks is a failed check, never the end of the others.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    list of Check
    """
    checks: list[Check] = []
    looks = (
        _python, _codecs, _home, _database, _spool, _pseudonyms, _clock, _port, _access, _levels, _phantoms, _charts,
    )  # fmt: skip
    for look in looks:
        try:
            checks.extend(look(settings))
        except Exception as error:  # noqa: BLE001 - whatever breaks here is the finding
            checks.append(Check(look.__name__.strip("_"), FAIL, f"{type(error).__name__}: {error}"))
    return checks


def _python(_: Settings) -> Iterator[Check]:
    status = OK if sys.version_info >= (3, 11) else FAIL
    yield Check("Python", status, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _codecs(_: Settings) -> Iterator[Check]:
    """Which compressed transfer syntaxes can be decoded here."""
    from pydicom import uid
    from pydicom.pixels import get_decoder

    wanted = {
        "RLE": uid.RLELossless,
        "JPEG": uid.JPEGBaseline8Bit,
        "JPEG lossless": uid.JPEGLosslessSV1,
        "JPEG-LS": uid.JPEGLSLossless,
        "JPEG 2000": uid.JPEG2000Lossless,
    }
    missing = [name for name, syntax in wanted.items() if not get_decoder(syntax).is_available]
    if missing:
        yield Check("codecs", WARN, f"no decoder for {', '.join(missing)}: images compressed so cannot be measured")
    else:
        yield Check("codecs", OK, ", ".join(wanted))


def _home(settings: Settings) -> Iterator[Check]:
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    probe = home / ".doctor"
    probe.write_bytes(b"x")
    probe.unlink()
    free = shutil.disk_usage(home).free
    status = OK if free > 4 * settings.min_free_bytes else WARN if free > settings.min_free_bytes else FAIL
    detail = f"{home}: writable, {free / 1e9:.1f} GB free"
    if status != OK:
        detail += f"; the listener refuses objects below {settings.min_free_bytes / 1e9:.1f} GB"
    yield Check("disk", status, detail)


def _database(settings: Settings) -> Iterator[Check]:
    from dose_audit.store.settings import setup

    where = "PostgreSQL" if settings.database_url else f"SQLite, {settings.database_path}"
    if settings.database_url is None and not settings.database_path.exists():
        yield Check("database", OK, f"{where}: not made yet, the first scan or listen makes it")
        return
    setup(settings)
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    with connection.cursor() as cursor:
        cursor.execute("SELECT version()" if connection.vendor == "postgresql" else "SELECT sqlite_version()")
        version = str(cursor.fetchone()[0]).split(" on ")[0]
    yield Check("database", OK, f"{where} ({version})")
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    detail = f"{len(pending)} to apply: the next scan, listen or audit applies them" if pending else "up to date"
    yield Check("migrations", WARN if pending else OK, detail)


def _spool(settings: Settings) -> Iterator[Check]:
    from dose_audit.receive.spool import Spool

    if not settings.spool_dir.exists():
        yield Check("spool", OK, f"{settings.spool_dir}: not made yet")
        return
    with Spool(settings.spool_dir, min_free_bytes=settings.min_free_bytes) as spool:
        counts = spool.counts()
    received = counts.pop("received")
    balanced = received == sum(counts.values())
    states = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()) if number)
    detail = f"{received} received: {states or 'none'}"
    if not balanced:
        yield Check(
            "spool", FAIL, f"{detail}; the states do not add up, the ledger needs a look before any report is signed"
        )
    else:
        yield Check("spool", WARN if counts.get("quarantined") else OK, detail)


def _pseudonyms(settings: Settings) -> Iterator[Check]:
    if settings.keep_identifiers:
        yield Check("identifiers", WARN, "kept in clear (keep_identifiers is on)")
    path = settings.key_path
    if not path.exists():
        yield Check("pseudonym key", OK, f"{path}: not made yet, the first ingest makes it")
        return
    private = os.name == "nt" or not path.stat().st_mode & 0o077
    detail = f"{path}" + ("" if private else ": others can read it; chmod 600")
    yield Check("pseudonym key", OK if private else WARN, detail)


def _clock(_: Settings) -> Iterator[Check]:
    """Whether the clock can be right: set later than this program was made, running, with a known zone."""
    now = time.time()
    made = Path(__file__).stat().st_mtime
    zone = time.strftime("%Y-%m-%d %H:%M:%S %z")
    if now < made - 86_400:
        yield Check("clock", FAIL, f"{zone}: earlier than this program was installed; set the clock, use NTP")
        return
    synchronised = Path("/run/systemd/timesync/synchronized").exists()
    yield Check("clock", OK, f"{zone}" + (", synchronised" if synchronised else ""))


def _port(settings: Settings) -> Iterator[Check]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            detail = f"{settings.host}:{settings.port} cannot be used ({error.strerror}): taken, perhaps by a running listener"
            yield Check("port", WARN, detail)
            return
    yield Check("port", OK, f"{settings.host}:{settings.port} is free for {settings.aet}")


def _access(settings: Settings) -> Iterator[Check]:
    yield _transport(settings)
    callers = len(settings.callers)
    yield Check("callers", OK, f"{callers} rules" if callers else "this machine only (no [[callers]] in the settings)")


def _transport(settings: Settings) -> Check:
    from dose_audit.config import SettingsError
    from dose_audit.ingest.listening import listener_settings
    from dose_audit.receive.errors import TlsFilesError
    from dose_audit.receive.tls import certificate_problem

    try:
        tls = listener_settings(settings).tls
        problem = certificate_problem(tls) if tls else ""
    except (SettingsError, TlsFilesError) as error:
        return Check("transport", FAIL, str(error))
    if tls:
        return Check("transport", FAIL if problem else OK, problem or f"TLS with {settings.tls_certificate}")
    if not settings.plain_dicom:
        return Check("transport", FAIL, "plain_dicom is off and there is no TLS: the listener will not start")
    loopback = settings.host in ("127.0.0.1", "::1", "localhost")
    detail = "plain DICOM" + (" on this machine only" if loopback else f" on {settings.host}: data travel in clear")
    return Check("transport", OK if loopback else WARN, detail)


def _levels(settings: Settings) -> Iterator[Check]:
    from dose_audit.audit.nightly import load_registry

    registry = load_registry(settings)
    names = ", ".join(item.name for item in registry.sets)
    errors = [problem for problem in registry.problems if problem.severity == "error"]
    if errors:
        yield Check("reference levels", FAIL, f"{len(errors)} errors; `dose-audit drl check` names them")
    elif not registry.sets:
        yield Check("reference levels", WARN, "none loaded: every group will say NO_DRL")
    else:
        yield Check("reference levels", OK, names)


def _phantoms(settings: Settings) -> Iterator[Check]:
    from dose_audit.phantom.definition import sound_definitions

    known, faults = sound_definitions(settings.phantom_definitions_dir)
    for fault in faults:
        detail = f"{fault} (in {settings.phantom_definitions_dir}); phantom images wait until it is mended"
        yield Check("phantom definitions", FAIL, detail)
    if not faults:
        own = sum(one.path.parent == settings.phantom_definitions_dir for one in known if one.path is not None)
        yield Check("phantom definitions", OK, f"{len(known)}, {own} of them the site's own")


def _charts(_: Settings) -> Iterator[Check]:
    import vl_convert

    yield Check("charts", OK, f"vl-convert {vl_convert.__version__}")
