"""Configures Django from our own `Settings`: one database, one app, no web yet.

Works in two ways: `setup` for programs, which points Django at one home, and as ``DJANGO_SETTINGS_MODULE`` for tools
that expect a module of upper-case names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dose_audit.config import Settings, SettingsError, load_settings
from dose_audit.locks import lock_file
from dose_audit.sqlite_files import as_it_stands, cannot_write

__all__ = ["database", "let_go", "prepare", "prepare_to_read", "setup"]

# FULL, not NORMAL: once an object is settled in the spool its exam must survive a power cut. Batches pay for it.
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
    "PRAGMA cache_size=-65536; PRAGMA mmap_size=268435456;"
)
_LOCK_WAIT_S = 60.0
_MIGRATION_LOCK = 0x646F7365  # PostgreSQL advisory lock: only one process migrates at a time


def database(settings: Settings) -> dict[str, Any]:
    """Django's ``DATABASES["default"]`` for these settings.

    Parameters
    ----------
    settings : Settings
        ``database_url`` chooses PostgreSQL (``postgresql://user:password@host:port/name?option=value``); without it
        the store is one SQLite file in the home directory.

    Returns
    -------
    dict

    Raises
    ------
    SettingsError
        A ``database_url`` of another kind, or without a database name.

    Examples
    --------
    >>> database(Settings(home=Path("/srv/dose")))["NAME"].as_posix()
    '/srv/dose/dose-audit.sqlite3'
    >>> database(Settings(home=Path("/srv"), database_url="postgresql://audit@db.local/dose"))["HOST"]
    'db.local'
    """
    if settings.database_url is None:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": settings.database_path,
            "OPTIONS": {
                "timeout": _LOCK_WAIT_S,
                # A transaction takes the write lock when it begins: no deadlock when it comes to write.
                "transaction_mode": "IMMEDIATE",
                "init_command": _SQLITE_PRAGMAS,
            },
        }
    url = urlsplit(settings.database_url)
    name = unquote(url.path.lstrip("/"))
    if url.scheme not in ("postgresql", "postgres") or not name:
        # The address itself may hold a password: it is not repeated here.
        raise SettingsError("database_url: expected postgresql://user@host/database.")
    options = dict(parse_qsl(url.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": options.pop("host", None) or unquote(url.hostname or ""),
        "PORT": str(url.port or options.pop("port", "") or ""),
        "OPTIONS": options,
    }


def setup(settings: Settings, *, as_it_is: bool = False) -> None:
    """Point Django at the store of these settings. Cheap when it already is.

    Parameters
    ----------
    settings : Settings
        A later call with another home or database moves the connection there: one process can look after several
        homes, one at a time.
    as_it_is : bool
        Open a SQLite file that cannot be written, to read it as it stands.
    """
    import django
    from django.conf import settings as django_settings

    wanted = database(settings)
    if as_it_is:
        wanted = {"ENGINE": wanted["ENGINE"], "NAME": as_it_stands(settings.database_path), "OPTIONS": {}}
    if not django_settings.configured:
        django_settings.configure(**_options(wanted))
    django.setup()

    from django.db import connections

    current = connections.settings["default"]
    if any(current.get(name) != value for name, value in wanted.items()):
        connections["default"].close()
        del connections["default"]
        connections.settings["default"] = wanted
        connections.settings = connections.configure_settings(connections.settings)
    let_go()  # a server that went away is asked again


def let_go() -> None:
    """Close a connection that failed and does not work any more, so that the next question opens another."""
    from django.db import connections

    connections["default"].close_if_unusable_or_obsolete()


def prepare(settings: Settings) -> None:
    """Set Django up, make the home directory and bring the tables up to date. Call once per program, not per worker.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    OSError
        The home directory cannot be made.
    django.db.Error
        The database cannot be reached or migrated.
    """
    if settings.database_url is None:
        settings.database_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    setup(settings)

    from django.core.management import call_command
    from django.db import connection

    if not _pending_migrations():
        return
    with _migrating_alone(settings):
        # Somebody else may have done it in the meantime; then there is nothing to do.
        call_command("migrate", verbosity=0, interactive=False)
    if connection.vendor == "sqlite" and isinstance(settings.database_path, Path):
        settings.database_path.chmod(0o600)


def prepare_to_read(settings: Settings) -> bool:
    """As `prepare`; a SQLite store that cannot be written (read-only, disk full) is opened to be read as it stands.

    Returns
    -------
    bool
        Whether it can only be read.

    Raises
    ------
    SettingsError
        It is of an earlier version, and cannot be brought up to date where nothing can be written.
    OSError, django.db.Error
        It cannot be read either.
    """
    from django.db import OperationalError

    try:
        prepare(settings)
    except (OperationalError, OSError) as error:
        unwritable = isinstance(error, OSError) or cannot_write(error.__cause__)
        if settings.database_url is not None or not unwritable or not settings.database_path.is_file():
            raise
        setup(settings, as_it_is=True)
        if _pending_migrations():
            raise SettingsError(
                f"{settings.database_path} is of an earlier version of the program, and cannot be brought up to date where "
                "nothing can be written"
            ) from error
        return True
    return False


@contextmanager
def _migrating_alone(settings: Settings) -> Iterator[None]:
    """One process at a time: two programs may be started for the first time at one moment."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATION_LOCK])
    else:
        with settings.database_path.with_suffix(".lock").open("wb") as file:
            lock_file(file.fileno())
            yield


def _pending_migrations() -> bool:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _options(default: dict[str, Any]) -> dict[str, Any]:
    return {
        "DATABASES": {"default": default},
        "INSTALLED_APPS": ["dose_audit.store.apps.StoreConfig"],
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    }


def __getattr__(name: str) -> Any:
    """Upper-case names for ``DJANGO_SETTINGS_MODULE``, read from the environment's own settings when asked for."""
    if name.isupper():
        options = _module_options()
        if name in options:
            return options[name]
    raise AttributeError(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_module_options()])


def _module_options() -> dict[str, Any]:
    return _options(database(load_settings()))
