"""One typed settings object: the TOML file, then environment variables, then the command line. Every default works.

``Settings`` remembers where each value came from, so that ``dose-audit doctor`` can print what is in force and why.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dose_audit.mail_settings import MailSettings
    from dose_audit.receive.access import CallerRule
    from dose_audit.receive.routing import Route
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["Settings", "SettingsError", "load_settings"]

ENVIRONMENT_PREFIX = "DOSE_AUDIT_"


class SettingsError(ValueError):
    """A settings file or variable that cannot be used: which one, what was expected."""


@dataclass(frozen=True)
class Settings:
    """Everything an installation can set. Sizes in bytes, times in seconds.

    Examples
    --------
    >>> Settings(home=Path("/srv/dose")).spool_dir.as_posix()
    '/srv/dose/spool'
    """

    home: Path
    network_name: str = "Imaging network"
    default_site: str = "Unassigned"
    # DICOM listener
    aet: str = "DOSEAUDIT"
    host: str = "127.0.0.1"
    port: int = 11112
    check_called_aet: bool = True
    plain_dicom: bool = True
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_authorities: Path | None = None
    # who may call and where an object goes: tables [[callers]] and [[routes]]; without callers, this machine alone
    callers: tuple[CallerRule, ...] = ()
    routes: tuple[Route, ...] = ()
    commitment_peers: tuple[str, ...] = ()
    drop_unwanted_images: bool = False
    # where we go to fetch: tables [[archives]]
    archives: tuple[ArchiveSettings, ...] = ()
    max_associations: int = 100
    max_associations_per_address: int = 64
    max_connections: int = 600
    max_connections_per_address: int = 550
    metrics_port: int | None = None
    max_object_bytes: int = 2_000_000_000
    min_free_bytes: int = 500_000_000
    idle_timeout_s: float = 60.0
    negotiation_timeout_s: float = 10.0
    object_timeout_s: float = 600.0
    # ingest
    workers: int = 2
    batch_size: int = 200
    object_cap_s: float = 60.0
    # phantoms: a series is measured when its last image arrived so long ago and its associations have ended
    phantom_quiet_s: float = 3.0
    phantom_cap_s: float = 300.0
    # store: SQLite in the home directory unless a PostgreSQL address is given (postgresql://user@host/database)
    database_url: str | None = None
    # what the audit asks: duckdb, over the columnar copy of either database; or postgresql, the database itself
    audit_engine: str = "duckdb"
    # patients
    pseudonym_key_file: Path | None = None
    keep_identifiers: bool = False
    phantom_patterns: tuple[str, ...] = ()
    # audit
    drl_sets: tuple[str, ...] = ()
    allow_unverified_drl: bool = False
    drl_view: str = "then"
    # what is compared: doses as displayed, or as corrected by the certificates of those devices that have them
    drl_doses: str = "displayed"
    verdict_period: str = "quarter"  # month, quarter, half-year or year: verdicts are given when one closes
    # e-mail digest: table [mail]
    mail: MailSettings | None = None
    source: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spool_dir(self) -> Path:
        """Inbox of received objects and the ledger of every object's fate."""
        return self.home / "spool"

    @property
    def database_path(self) -> Path:
        """SQLite file, used when no ``database_url`` is set."""
        return self.home / "dose-audit.sqlite3"

    @property
    def parquet_dir(self) -> Path:
        """Columnar copy of the store that the audit reads."""
        return self.home / "parquet"

    @property
    def reports_dir(self) -> Path:
        """Frozen audit runs and their reports, one folder a run."""
        return self.home / "reports"

    @property
    def local_drl_dir(self) -> Path:
        """Local reference levels and typical values that were approved, one folder an edition."""
        return self.home / "drl_tables"

    @property
    def cache_dir(self) -> Path:
        """What can be made anew at any time; may be deleted."""
        return self.home / "cache"

    @property
    def phantoms_dir(self) -> Path:
        """Pages, pictures and JSON of phantom measurements, one folder a month."""
        return self.home / "phantoms"

    @property
    def phantom_definitions_dir(self) -> Path:
        """The site's own phantom definitions, beside the shipped ones."""
        return self.home / "phantom_definitions"

    @property
    def logs_dir(self) -> Path:
        """Log files."""
        return self.home / "logs"

    @property
    def key_path(self) -> Path:
        """Key of the patient pseudonyms. Kept apart from the data when ``pseudonym_key_file`` says so."""
        return self.pseudonym_key_file or self.home / "pseudonym.key"


_PATHS = {"home", "tls_certificate", "tls_key", "tls_authorities", "pseudonym_key_file"}
_TUPLES = {"drl_sets", "phantom_patterns", "commitment_peers"}
_TABLES = ("callers", "routes", "archives")
_TYPES: dict[str, Any] = {part.name: part.type for part in fields(Settings)}
_NOT_SETTABLE = {"source"}


def load_settings(
    *,
    home: Path | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **overrides: Any,
) -> Settings:
    """Read settings: defaults, then ``dose-audit.toml``, then ``DOSE_AUDIT_*`` variables, then ``overrides``.

    Parameters
    ----------
    home : Path, optional
        Directory for everything a run writes; else ``DOSE_AUDIT_HOME``, else the platform's data directory.
    config : Path, optional
        Settings file; else ``dose-audit.toml`` in the home directory when there is one.
    environment : mapping, optional
        Defaults to ``os.environ``.
    **overrides
        Settings given on the command line; ``None`` means not given.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        An unknown name, a value of the wrong type, a file that cannot be read: named, with what was expected.
    """
    environment = os.environ if environment is None else environment
    home = _find_home(home, environment)
    values: dict[str, Any] = {"home": home}
    source = {"home": "command line or DOSE_AUDIT_HOME or platform default"}

    path = config or home / "dose-audit.toml"
    if config is not None or path.is_file():
        for name, value in _read_file(path).items():
            values[name] = _checked(name, value, f"{path}")
            source[name] = str(path)
    for name in _TYPES:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if name not in {"source", "home", "mail", *_TABLES} and variable in environment:
            values[name] = _checked(name, _from_text(name, environment[variable], variable), variable)
            source[name] = variable
    for name, value in overrides.items():
        if value is not None:
            values[name] = _checked(name, value, "command line")
            source[name] = "command line"
    if values.get("audit_engine") == "postgresql" and not values.get("database_url"):
        raise SettingsError(f"{source['audit_engine']}: audit_engine is 'postgresql', which needs a database_url.")
    return replace(Settings(**values), source=source)


def _find_home(home: Path | None, environment: Mapping[str, str]) -> Path:
    if home is not None:
        return Path(home).expanduser().absolute()
    if environment.get("DOSE_AUDIT_HOME"):
        return Path(environment["DOSE_AUDIT_HOME"]).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("dose-audit", appauthor=False))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a byte order mark in front
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not text in UTF-8; save it as UTF-8.") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}.") from error


def _from_text(name: str, text: str, where: str) -> Any:
    """Read one environment variable by the type of its setting."""
    kind = _TYPES[name]
    if name in _TUPLES:
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        if kind in ("int", "int | None"):
            return int(text)
        if kind == "float":
            return float(text)
    except (KeyError, ValueError) as error:
        raise SettingsError(f"{where}: {text!r} is not a {_wanted(name)}.") from error
    return text


def _checked(name: str, value: Any, where: str) -> Any:
    if name not in _TYPES or name in _NOT_SETTABLE:
        raise SettingsError(f"{where}: there is no setting {name!r}. Known settings: {', '.join(sorted(_TYPES))}.")
    if name in _TABLES:
        return _checked_table(name, value, where)
    if name == "mail":
        return _checked_mail(value, where)
    if name in _PATHS:
        if not isinstance(value, str | Path):
            raise SettingsError(f"{where}: {name} is {value!r}, expected a path.")
        return Path(value).expanduser()
    if name in _TUPLES:
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise SettingsError(f"{where}: {name} is {value!r}, expected a list of text.")
        return tuple(value)
    kind = _TYPES[name]
    accepted: Any = {"int": int, "int | None": int, "float": (int, float), "bool": bool, "str": str, "str | None": str}[
        kind
    ]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind != "bool"):
        raise SettingsError(f"{where}: {name} is {value!r}, expected a {_wanted(name)}.")
    if name == "port" and not 0 <= value <= 65535:
        raise SettingsError(f"{where}: port is {value}, expected 0 to 65535.")
    if name == "drl_view" and value not in ("then", "now"):
        raise SettingsError(f"{where}: drl_view is {value!r}, expected 'then' or 'now'.")
    if name == "drl_doses" and value not in ("displayed", "corrected"):
        raise SettingsError(f"{where}: drl_doses is {value!r}, expected 'displayed' or 'corrected'.")
    if name == "audit_engine" and value not in ("duckdb", "postgresql"):
        raise SettingsError(f"{where}: audit_engine is {value!r}, expected 'duckdb' or 'postgresql'.")
    if name == "verdict_period" and value not in ("month", "quarter", "half-year", "year"):
        raise SettingsError(f"{where}: verdict_period is {value!r}, expected month, quarter, half-year or year.")
    return value


def _checked_table(name: str, value: Any, where: str) -> tuple[Any, ...]:
    kind = _table_type(name)
    known = {part.name for part in fields(kind)}
    rows = []
    for number, row in enumerate(value, start=1):
        if isinstance(row, kind):
            rows.append(row)
            continue
        unknown = set(row) - known
        if unknown:
            raise SettingsError(
                f"{where}: {name} entry {number} has unknown {sorted(unknown)}; known: {', '.join(sorted(known))}."
            )
        entry = dict(row)
        if "networks" in entry:
            entry["networks"] = tuple(entry["networks"])
        try:
            rows.append(kind(**entry))
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{where}: {name} entry {number} cannot be used: {error}.") from error
    return tuple(rows)


def _checked_mail(value: Any, where: str) -> Any:
    from dose_audit.mail_settings import MailSettings

    if isinstance(value, MailSettings):
        return value
    known = {part.name for part in fields(MailSettings)}
    if not isinstance(value, Mapping) or set(value) - known:
        unknown = sorted(set(value) - known) if isinstance(value, Mapping) else value
        raise SettingsError(f"{where}: mail has unknown {unknown}; known: {', '.join(sorted(known))}.")
    try:
        return MailSettings(**value)
    except (TypeError, ValueError, AttributeError) as error:
        raise SettingsError(f"{where}: mail cannot be used: {error}.") from error


def _table_type(name: str) -> Any:
    """Class of one table's rows, imported only where there is such a table."""
    if name == "callers":
        from dose_audit.receive.access import CallerRule

        return CallerRule
    if name == "archives":
        from dose_audit.retrieve.settings import ArchiveSettings

        return ArchiveSettings
    from dose_audit.receive.routing import Route

    return Route


def _wanted(name: str) -> str:
    return {"int": "whole number", "int | None": "whole number", "float": "number", "bool": "true or false"}.get(
        _TYPES[name], "text"
    )
