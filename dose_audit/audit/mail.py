"""Sends the digests of a frozen run by SMTP, each once a run and role, and records what became of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.audit.digest import Digest, digest_for, roles_of
from dose_audit.mail_settings import EVERYTHING
from dose_audit.texts import counted

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.mail_settings import MailSettings

__all__ = ["Sent", "send_digests", "send_message"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one digest: `state` is ``sent``, ``failed`` or ``before`` (sent by an earlier call)."""

    role: str
    recipients: int
    findings: int
    state: str
    reason: str = ""

    def __str__(self) -> str:
        told = f"digest for {self.role}: {self.state}, {counted(self.findings, 'finding')} to {counted(self.recipients, 'recipient')}"
        return f"{told} ({self.reason})" if self.reason else told


def send_digests(settings: Settings, run_dir: Path, *, again: bool = False) -> list[Sent]:
    """Send a run's digests to the roles that the settings give addresses for.

    Parameters
    ----------
    settings : Settings
        With the table ``[mail]``; without it nothing is sent. Django must be set up.
    run_dir : Path
        The frozen run.
    again : bool
        Send also what was delivered before.

    Returns
    -------
    list of Sent
        A role without an address, or a server that refuses, is a ``failed`` delivery with its reason and no
        exception: the audit itself is done.
    """
    from dose_audit.store.models import Delivery

    mail = settings.mail
    if mail is None:
        return [Sent("everyone", 0, 0, "failed", "no table [mail] in the settings")]
    report = json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
    run_id = report["run"]["id"]
    outcomes = []
    for role in sorted({*roles_of(report), *mail.roles}):
        digest = digest_for(report, role, everything=role == EVERYTHING)
        if digest is None:
            continue
        addresses = mail.roles.get(role, ())
        if not addresses and mail.roles.get(EVERYTHING):
            continue  # whoever is sent everything is sent this too
        if not again and Delivery.objects.filter(run_id=run_id, role=role, state="sent").exists():
            outcomes.append(Sent(role, len(addresses), digest.findings, "before"))
            continue
        outcome = _deliver(mail, digest, addresses)
        outcomes.append(outcome)
        Delivery.objects.create(
            run_id=run_id,
            role=role,
            recipients=outcome.recipients,
            findings=outcome.findings,
            state=outcome.state,
            reason=outcome.reason,
            at=dt.datetime.now(dt.UTC),
            text_sha256=hashlib.sha256(digest.text.encode()).hexdigest(),
        )
    return outcomes


def _deliver(mail: MailSettings, digest: Digest, addresses: tuple[str, ...]) -> Sent:
    if not addresses:
        return Sent(digest.role, 0, digest.findings, "failed", f"no address for {digest.role} under [mail.roles]")
    try:
        refused = send_message(mail, addresses, digest.subject, digest.text, digest.html)
    except (OSError, smtplib.SMTPException, ssl.SSLError, IndexError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        return Sent(digest.role, len(addresses), digest.findings, "failed", reason)
    if refused:
        # Not all of those who are to know have it: it counts as failed, and the next call tries again.
        reason = f"the server refused {refused} of {len(addresses)} recipients; all of them are sent it again at the next call"
        return Sent(digest.role, len(addresses) - refused, digest.findings, "failed", reason)
    return Sent(digest.role, len(addresses), digest.findings, "sent")


def send_message(mail: MailSettings, addresses: tuple[str, ...], subject: str, text: str, html: str) -> int:
    """Send one message, plain text with HTML beside it.

    Returns
    -------
    int
        Recipients that the server refused while it took others.

    Raises
    ------
    OSError, smtplib.SMTPException
        The server cannot be reached, its certificate is not trusted, or it refuses.
    """
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, mail.sender, ", ".join(addresses)
    message["Date"] = dt.datetime.now(dt.UTC)
    message["Message-ID"] = make_msgid("dose-audit", mail.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    context = ssl.create_default_context(cafile=mail.authorities or None)
    with _connect(mail, context) as server:
        if mail.security == "starttls":
            server.starttls(context=context)
        if mail.username:
            server.login(mail.username, mail.password())
        return len(server.send_message(message))


def _connect(mail: MailSettings, context: ssl.SSLContext) -> smtplib.SMTP:
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=mail.timeout_s, context=context)
    return smtplib.SMTP(mail.host, mail.port, timeout=mail.timeout_s)
