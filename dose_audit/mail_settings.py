"""Settings of the e-mail digest: table ``[mail]`` of the settings file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SECURITY", "MailSettings"]

SECURITY = ("starttls", "tls", "none")
"""Encryption begun on a plain connection, from the first byte, or not at all."""
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How digests are sent, and to whom.

    Attributes
    ----------
    host : str
    sender : str
        Address that digests come from.
    roles : mapping of str to sequence of str
        Role → addresses, with the roles of ``audit/data/roles.csv``; ``*`` is sent everything.
    port : int
        587 by default.
    security : str
        One of `SECURITY`. With ``none`` no password is sent.
    authorities : str
        PEM file of the authority that signed the server's certificate; the system's own list where empty.
    username, password_file : str
        The password is the file's first line, so that it stands in no settings.
    timeout_s : float
    """

    host: str
    sender: str
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    port: int = 587
    security: str = "starttls"
    authorities: str = ""
    username: str = ""
    password_file: str = ""
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if self.security not in SECURITY:
            raise ValueError(f"security is {self.security!r}, expected {', '.join(SECURITY)}")
        if self.security == "none" and self.username:
            raise ValueError("a password is not sent without encryption: set security to starttls or tls")
        if self.username and not self.password_file:
            raise ValueError("a username signs on with a password: name the file that holds it, password_file")
        if not 0 < self.port < 65536:
            raise ValueError(f"port is {self.port}, expected 1 to 65535")
        named = {role: (entry,) if isinstance(entry, str) else tuple(entry) for role, entry in self.roles.items()}
        for address in (self.sender, *(address for entry in named.values() for address in entry)):
            if not isinstance(address, str) or "@" not in address or any(c in address for c in "\r\n"):
                raise ValueError(f"{address!r} is no e-mail address")
        object.__setattr__(self, "roles", named)

    def password(self) -> str:
        """First line of the password file.

        Raises
        ------
        OSError
            It cannot be read, or its first line is empty; the text names the file.
        """
        try:
            lines = Path(self.password_file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "no UTF-8"
            raise OSError(f"password_file {self.password_file}: {said}") from error
        if not lines or not lines[0]:
            raise OSError(f"password_file {self.password_file}: its first line is empty")
        return lines[0]
