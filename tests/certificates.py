"""Certificates for the tests, by openssl: as RFC 5280 wants them, which Python 3.13 insists on."""

from __future__ import annotations

import subprocess
from pathlib import Path

_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_SIGNS = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")


class Certificates:
    """A folder of ``<name>.pem`` and ``<name>.key``."""

    def __init__(self, openssl: str, folder: Path) -> None:
        self._openssl = openssl
        self.folder = folder

    def authority(self, name: str, *, complete: bool = True) -> None:
        """One that signs itself; not complete, it does not say that it may sign, as old ones of hospitals."""
        self._call(
            "req", "-x509", *_NEW, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}",
            *(_SIGNS if complete else ()),
        )  # fmt: skip

    def signed(self, name: str, signer: str, *, subject: str = "", names: str = "") -> None:
        """One for a server at `names`, or without them for a client."""
        self._call("req", *_NEW, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject or name}")
        lines = ["basicConstraints = CA:FALSE", "subjectKeyIdentifier = hash", "authorityKeyIdentifier = keyid"]
        lines += [f"subjectAltName = {names}"] if names else []
        (self.folder / f"{name}.ext").write_text("\n".join(lines) + "\n")
        self._call(
            "x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.pem", "-extfile", f"{name}.ext",
        )  # fmt: skip

    def _call(self, *words: str) -> None:
        subprocess.run([self._openssl, *words], cwd=self.folder, check=True, capture_output=True)
