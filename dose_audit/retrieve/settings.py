"""One archive as a row of the settings: how it is reached, what is asked of it, and how gently."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["DOSE_MODALITIES", "METHODS", "ArchiveSettings", "BusyHours"]

METHODS = ("move", "get", "web")
DOSE_MODALITIES = ("CT", "XA", "RF", "DX", "CR", "MG", "PT", "NM")
"""Modalities whose studies are asked for unless the row names others."""


@dataclass(frozen=True)
class BusyHours:
    """Hours of the day, local time, in which the archive is left alone.

    Examples
    --------
    >>> busy = BusyHours.parse("07:30-18:00")
    >>> time(12, 0) in busy, time(18, 0) in busy
    (True, False)
    >>> time(1, 0) in BusyHours.parse("22:00-05:00")
    True
    >>> time(1, 0) in BusyHours.parse("")
    False
    """

    begin: time = time(0)
    end: time = time(0)

    @classmethod
    def parse(cls, text: str) -> BusyHours:
        """Read ``HH:MM-HH:MM``; empty means never busy.

        Raises
        ------
        ValueError
        """
        if not text.strip():
            return cls()
        try:
            begin, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
        except ValueError:
            raise ValueError(f"busy_hours is {text[:40]!r}, expected HH:MM-HH:MM") from None
        return cls(begin, end)

    def __contains__(self, moment: time) -> bool:
        if self.begin <= self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


@dataclass(frozen=True)
class ArchiveSettings:
    """One row of ``[[archives]]``.

    Attributes
    ----------
    name : str
        By which commands name it.
    method : str
        ``move``: C-FIND, and C-MOVE to our listener. ``get``: C-FIND and C-GET. ``web``: QIDO-RS and WADO-RS.
    aet, host, port : str, str, int
        Of the archive, for ``move`` and ``get``.
    url : str
        Base of the DICOMweb services, for ``web``.
    calling_aet : str
        Our AE title as the archive knows it; the listener's by default.
    destination_aet : str
        AE title that the archive is told to send to (C-MOVE); the listener's by default.
    tls : bool
        Speak DICOM TLS. `certificate`, `key` (ours) and `authorities` (theirs) are PEM files and serve HTTPS as well.
    token_file, username, password_file : str
        DICOMweb: a file with a bearer token, or a name and a file with its password. Never sent over plain HTTP, but to
        this machine.
    modalities : tuple of str
        What is asked for.
    result_limit : int
        Answers after which the archive stops without a word: a day with so many is asked for in pieces. 0: none.
    studies_per_hour : int
        Studies fetched in an hour at most; 0: no limit.
    pause_s : float
        Pause before every request, s.
    busy_hours : str
        ``HH:MM-HH:MM`` local time in which nothing is asked; empty: none.
    timeout_s : float
        Longest wait for an answer, s.
    transfer_timeout_s : float
        Longest time for the objects of one request, s; an archive may first have to bring them from tape.
    settle_s : float
        C-MOVE: how long objects may still be on their way after the archive said that all was sent, s.
    max_answers : int
        Answers to one query at most: an archive that goes on for ever is cut off there.
    max_study_objects : int
        Objects of one study that are fetched at most.
    max_object_bytes : int
        Longest object that is held in memory (C-GET) or taken over DICOMweb, bytes.

    Raises
    ------
    ValueError
        When the row contradicts itself; the text says how.
    """

    name: str
    method: str = "move"
    aet: str = ""
    host: str = ""
    port: int = 104
    url: str = ""
    calling_aet: str = ""
    destination_aet: str = ""
    tls: bool = False
    certificate: str = ""
    key: str = ""
    authorities: str = ""
    token_file: str = ""
    username: str = ""
    password_file: str = ""
    modalities: tuple[str, ...] = DOSE_MODALITIES
    result_limit: int = 0
    studies_per_hour: int = 0
    pause_s: float = 0.1
    busy_hours: str = ""
    timeout_s: float = 60.0
    transfer_timeout_s: float = 600.0
    settle_s: float = 5.0
    max_answers: int = 20_000
    max_study_objects: int = 2_000
    max_object_bytes: int = 512_000_000

    def __post_init__(self) -> None:
        if isinstance(self.modalities, str):
            raise ValueError("modalities is one text, expected a list")
        object.__setattr__(self, "modalities", tuple(str(part).strip().upper() for part in self.modalities))
        if not self.name.strip():
            raise ValueError("name is empty")
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}, expected one of {', '.join(METHODS)}")
        if self.method == "web":
            self._check_web()
        else:
            self._check_dicom()
        for field in ("pause_s", "timeout_s", "transfer_timeout_s", "settle_s", "studies_per_hour", "result_limit"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} is negative")
        for field in ("max_answers", "max_study_objects", "max_object_bytes"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is below 1")
        BusyHours.parse(self.busy_hours)

    @property
    def busy(self) -> BusyHours:
        """The hours in which nothing is asked."""
        return BusyHours.parse(self.busy_hours)

    def _check_dicom(self) -> None:
        if not self.aet or not self.host:
            raise ValueError(f"method {self.method!r} needs aet and host")
        for field in ("aet", "calling_aet", "destination_aet"):
            title = getattr(self, field)
            if len(title) > 16 or not title.isascii() or "\\" in title:
                raise ValueError(f"{field} is no AE title (16 ASCII characters at most, no backslash)")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}, expected 1 to 65535")

    def _check_web(self) -> None:
        address = urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("method 'web' needs url, http:// or https://")
        if address.username or address.password:
            raise ValueError("url holds a name or password; use username and password_file")
        if address.scheme == "http" and (self.token_file or self.username) and not _this_machine(address.hostname):
            raise ValueError("a token or password over plain http:// would be readable by all; use https://")

    def secret(self, field: str) -> str:
        """First line of a secret's file (``token_file`` or ``password_file``); empty when none is set."""
        name = getattr(self, field)
        return Path(name).expanduser().read_text("utf-8").partition("\n")[0].strip() if name else ""


def _this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
