"""Sends the digests of a frozen run by SMTP, each recipient once a run and role, and records what became of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.audit.digest import Digest, digest_for, roles_of
from dose_audit.mail_settings import EVERYTHING
from dose_audit.texts import counted, one_line

if TYPE_CHECKING:
    from dose_audit.config import Settings
    from dose_audit.mail_settings import MailSettings

__all__ = ["Sent", "send_digests", "send_message"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one digest.

    Attributes
    ----------
    role : str
    recipients : int
        How many were sent it by this call; by earlier ones where `state` is ``before``.
    findings : int
    state : str
        ``sent``, ``failed`` (somebody who is to have it has not), or ``before`` (all have it from earlier calls).
    reason : str
    delivered_to : tuple of str
        Addresses that the server took it for in this call.
    """

    role: str
    recipients: int
    findings: int
    state: str
    reason: str = ""
    delivered_to: tuple[str, ...] = ()

    def __str__(self) -> str:
        findings, recipients = counted(self.findings, "finding"), counted(self.recipients, "recipient")
        told = f"digest for {self.role}: {self.state}, {findings} to {recipients}"
        return f"{told} ({self.reason})" if self.reason else told


def send_digests(settings: Settings, run_dir: Path, *, again: bool = False) -> list[Sent]:
    """Send a run's digests to the roles that the settings give addresses for; whoever has one is not sent it twice.

    Parameters
    ----------
    settings : Settings
        With the table ``[mail]``; without it nothing is sent. Django must be set up.
    run_dir : Path
        The frozen run.
    again : bool
        Send also to those who have it.

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
        have = set() if again else _who_have_it(run_id, role, addresses)
        waiting = tuple(address for address in addresses if address.lower() not in have)
        if addresses and not waiting:
            outcomes.append(Sent(role, len(addresses), digest.findings, "before"))
            continue
        outcome = _deliver(mail, digest, waiting)
        outcomes.append(outcome)
        Delivery.objects.create(
            run_id=run_id,
            role=role,
            recipients=outcome.recipients,
            findings=outcome.findings,
            delivered_to=list(outcome.delivered_to),
            state=outcome.state,
            reason=outcome.reason,
            at=dt.datetime.now(dt.UTC),
            text_sha256=hashlib.sha256(digest.text.encode()).hexdigest(),
        )
    return outcomes


def _who_have_it(run_id: str, role: str, addresses: Sequence[str]) -> set[str]:
    """Addresses, in small letters, that a run's digest for a role has reached."""
    from dose_audit.store.models import Delivery

    have: set[str] = set()
    for state, reached in Delivery.objects.filter(run_id=run_id, role=role).values_list("state", "delivered_to"):
        if reached is None:  # an earlier version wrote none down, and called it sent when the server took all of them
            reached = addresses if state == "sent" else ()
        have |= {address.lower() for address in reached}
    return have


def _deliver(mail: MailSettings, digest: Digest, addresses: tuple[str, ...]) -> Sent:
    if not addresses:
        return Sent(digest.role, 0, digest.findings, "failed", f"no address for {digest.role} under [mail.roles]")
    try:
        refused = send_message(mail, addresses, digest.subject, digest.text, digest.html)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        return Sent(digest.role, 0, digest.findings, "failed", _why(error, mail)[:_MOST_REASON])
    reached = tuple(address for address in addresses if address not in refused)
    if not refused:
        return Sent(digest.role, len(reached), digest.findings, "sent", delivered_to=reached)
    # Not all of those who are to know have it: it counts as failed, and the next call tries those again.
    said = "; ".join(f"{address}: {answer}" for address, answer in refused.items())[:_MOST_REASON]
    reason = f"the server refused {len(refused)} of {counted(len(addresses), 'recipient')}, tried again at the next call: {said}"
    return Sent(digest.role, len(reached), digest.findings, "failed", reason, reached)


def _why(error: Exception, mail: MailSettings) -> str:
    """Why nothing could be sent, and where it helps what to look at; never the password."""
    server = f"{mail.host}:{mail.port}"
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"{server}: its certificate is not trusted ({error.verify_message}); `authorities` names who signed it"
            )
        case ssl.SSLError() if mail.security == "tls":
            return f'{server}: no TLS from the first byte ({error.reason}); security = "starttls" begins it later'
        case smtplib.SMTPAuthenticationError():
            return (
                f"{server}: the sign-on of {mail.username} was refused ({_words((error.smtp_code, error.smtp_error))})"
            )
        case smtplib.SMTPNotSupportedError():
            return f"{server}: {error} Nothing was sent without it."
        case TimeoutError() | smtplib.SMTPServerDisconnected() if mail.security != "tls":
            said = "no answer in time" if isinstance(error, TimeoutError) else "it hung up"
            return f'{server}: {said} ({error}); a server that begins with TLS, as on port 465, needs security = "tls"'
        case UnicodeError():
            return f"{server}: host, username and password are sent as ASCII, and one of them is not, or is no name"
    return one_line(f"{server}: {type(error).__name__}: {error}")


_MOST_REASON = 300


def send_message(mail: MailSettings, addresses: tuple[str, ...], subject: str, text: str, html: str) -> dict[str, str]:
    """Send one message, plain text with HTML beside it.

    Returns
    -------
    dict
        Recipients that the server refused → what it said. The others have it.

    Raises
    ------
    OSError, smtplib.SMTPException, UnicodeError
        The server cannot be reached, its certificate is not trusted, or it refuses the message. Nobody has it.
    """
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, mail.sender, ", ".join(addresses)
    message["Date"] = dt.datetime.now(dt.UTC)
    message["Message-ID"] = make_msgid("dose-audit", mail.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    try:
        context = ssl.create_default_context(cafile=mail.authorities or None)
    except OSError as error:
        said = getattr(error, "reason", None) or error.strerror
        raise OSError(f"authorities {mail.authorities}: {said}") from error
    server = _connect(mail, context)
    try:
        if mail.security == "starttls":
            server.starttls(context=context)
        if mail.username:
            server.login(mail.username, mail.password())
        try:
            refused = server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:  # every one of them
            refused = error.recipients
        # It is on its way now: a server that is rude or gone at the parting takes nothing back.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        server.close()
    return {address: _words(answer) for address, answer in refused.items()}


def _words(answer: tuple[int, bytes | str]) -> str:
    """What a server answered, on one line."""
    code, said = answer
    return one_line(f"{code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}").strip()


def _connect(mail: MailSettings, context: ssl.SSLContext) -> smtplib.SMTP:
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=mail.timeout_s, context=context)
    return smtplib.SMTP(mail.host, mail.port, timeout=mail.timeout_s)
