"""Digests over a real SMTP server on loopback: text and HTML, TLS, delivery on record, nobody's name."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from dose_audit.audit.digest import digest_for
from dose_audit.audit.mail import send_digests
from dose_audit.config import Settings, SettingsError, load_settings
from dose_audit.mail_settings import MailSettings
from tests.patience import LONG_S


class Inbox:
    """Keeps what arrives; refuses one address while it is gone."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.gone = True
        self.parting = "221 Bye"

    async def handle_QUIT(self, server, session, envelope):
        return self.parting

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.gone and address.startswith("gone@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        from email import message_from_bytes, policy

        self.messages.append((message_from_bytes(envelope.content, policy=policy.default), session.ssl is not None))
        return "250 OK"


def _finding(
    kind: str, role: str, *, severity="act", state="new", message="Median is 1.3 times the level <x>."
) -> dict:
    return {
        "key": f"{kind}:1", "kind": kind, "severity": severity, "state": state, "site": "North", "equipment": "CT 1",
        "subject": "Smith^John head", "message": message, "for_role": role,
    }  # fmt: skip


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "reports" / "run"
    folder.mkdir(parents=True)
    findings = [
        _finding("drl_exceeded", "MPE"),
        _finding("drl_exceeded", "MPE", state="acknowledged"),
        _finding("software_change", "MPE", severity="note"),
        _finding("unmapped_acquisition_protocol", "superintendent radiographer", message="“Smith^John head” fits none"),
    ]
    run = {"id": "run", "since": "2026-01-01", "until": "2026-06-30", "nothing_compared": ""}
    (folder / "report.json").write_text(json.dumps({"run": run, "findings": findings}))
    return folder


@pytest.fixture
def prepared(tmp_path: Path, django_db_blocker: Any) -> Any:
    from dose_audit.store.settings import prepare

    with django_db_blocker.unblock():
        prepare(Settings(home=tmp_path / "home"))
        yield


# It names itself, for asking the machine's own name may wait for a name server, and has all the time it needs to start.
SERVED: dict[str, Any] = {"hostname": "127.0.0.1", "server_hostname": "localhost", "ready_timeout": LONG_S}


@pytest.fixture
def inbox(free_port: int) -> Any:
    handler = Inbox()
    controller = Controller(handler, port=free_port, **SERVED)
    controller.start()
    handler.port = free_port
    yield handler
    controller.stop()


def _settings(tmp_path: Path, port: int, **more: Any) -> Settings:
    words = {
        "host": "127.0.0.1", "port": port, "security": "none", "sender": "audit@hospital.example", "timeout_s": 60.0,
        "roles": {"MPE": ["mpe@hospital.example"], "superintendent radiographer": ["xr@hospital.example"]},
    }  # fmt: skip
    return Settings(home=tmp_path / "home", mail=MailSettings(**(words | more)))


def test_each_role_gets_its_own_findings_once_and_delivery_is_on_record(tmp_path, run_dir, inbox, prepared):
    from dose_audit.store.models import Delivery

    settings = _settings(tmp_path, inbox.port)
    assert [(s.role, s.state, s.findings) for s in send_digests(settings, run_dir)] == [
        ("MPE", "sent", 1),
        ("superintendent radiographer", "sent", 1),
    ]
    assert {s.state for s in send_digests(settings, run_dir)} == {"before"}
    assert len(inbox.messages) == 2
    mpe = next(m for m, _ in inbox.messages if m["To"] == "mpe@hospital.example")
    text, html = (mpe.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "1.3 times the level <x>" in text and "1.3 times the level &lt;x&gt;" in html
    assert mpe["Subject"] == "Dose audit: 1 to act on, 0 to check, 1 of them new"
    assert sorted(Delivery.objects.values_list("role", "state", "findings", "recipients")) == [
        ("MPE", "sent", 1, 1),
        ("superintendent radiographer", "sent", 1, 1),
    ]


def test_free_text_of_devices_never_leaves_by_mail(tmp_path, run_dir, inbox, prepared):
    send_digests(_settings(tmp_path, inbox.port, roles={"*": ["all@hospital.example"]}), run_dir)
    ((message, _),) = inbox.messages
    whole = message.as_string() + "".join(part.get_content() for part in message.iter_parts())
    assert "Smith" not in whole
    assert "Unmapped examination names" in whole


def test_a_server_that_is_away_is_a_failed_delivery_and_a_later_try_succeeds(tmp_path, run_dir, inbox, prepared):
    from dose_audit.store.models import Delivery

    away = _settings(tmp_path, 1, roles={"MPE": ["mpe@hospital.example"]})
    outcomes = {s.role: s for s in send_digests(away, run_dir)}
    assert outcomes["MPE"].state == "failed" and "refused" in outcomes["MPE"].reason
    assert "no address" in outcomes["superintendent radiographer"].reason
    assert Delivery.objects.filter(state="failed").count() == 2
    assert "sent" in {s.state for s in send_digests(_settings(tmp_path, inbox.port), run_dir)}


def test_only_the_refused_recipient_is_tried_again(tmp_path, run_dir, inbox, prepared):
    from dose_audit.store.models import Delivery

    roles = {
        "MPE": ["mpe@hospital.example", "gone@hospital.example"],
        "superintendent radiographer": ["gone@h.example"],
    }
    settings = _settings(tmp_path, inbox.port, roles=roles)
    outcomes = {s.role: s for s in send_digests(settings, run_dir)}
    assert (outcomes["MPE"].state, outcomes["MPE"].recipients) == ("failed", 1)
    assert "refused 1 of 2 recipients" in outcomes["MPE"].reason
    assert "gone@hospital.example: 550 no such user" in outcomes["MPE"].reason
    assert outcomes["superintendent radiographer"].state == "failed"
    assert [message["To"] for message, _ in inbox.messages] == ["mpe@hospital.example, gone@hospital.example"]
    again = {s.role: s for s in send_digests(settings, run_dir)}
    assert (again["MPE"].state, again["MPE"].recipients) == ("failed", 0)
    assert len(inbox.messages) == 1
    inbox.gone = False  # the mailbox is there now
    assert [s.state for s in send_digests(settings, run_dir)] == ["sent", "sent"]
    assert [message["To"] for message, _ in inbox.messages[1:]] == ["gone@hospital.example", "gone@h.example"]
    assert [s.state for s in send_digests(settings, run_dir)] == ["before", "before"]
    reached = [to for row in Delivery.objects.filter(role="MPE") for to in row.delivered_to]
    assert sorted(reached) == ["gone@hospital.example", "mpe@hospital.example"]


def test_somebody_new_to_a_role_is_sent_what_the_others_have(tmp_path, run_dir, inbox, prepared):
    roles = {"MPE": ["Mpe@hospital.example"], "superintendent radiographer": ["xr@hospital.example"]}
    send_digests(_settings(tmp_path, inbox.port, roles=roles), run_dir)
    roles["MPE"] = ["mpe@hospital.example", "second@hospital.example"]
    states = {s.role: s.state for s in send_digests(_settings(tmp_path, inbox.port, roles=roles), run_dir)}
    assert states == {"MPE": "sent", "superintendent radiographer": "before"}
    assert [message["To"] for message, _ in inbox.messages[2:]] == ["second@hospital.example"]


def test_what_an_earlier_version_sent_is_not_sent_again(tmp_path, run_dir, inbox, prepared):
    from dose_audit.store.models import Delivery

    settings = _settings(tmp_path, inbox.port)
    send_digests(settings, run_dir)
    Delivery.objects.update(delivered_to=None)
    assert {s.state for s in send_digests(settings, run_dir)} == {"before"}
    Delivery.objects.update(state="failed")  # whom it reached was not written down: better twice than never
    assert {s.state for s in send_digests(settings, run_dir)} == {"sent"}


def test_a_server_that_is_rude_at_the_parting_has_the_message_all_the_same(tmp_path, run_dir, inbox, prepared):
    inbox.parting = "500 go away"
    assert {s.state for s in send_digests(_settings(tmp_path, inbox.port), run_dir)} == {"sent"}
    assert len(inbox.messages) == 2


def test_a_line_that_only_counts_names_the_keys_to_look_it_up_by() -> None:
    run = {"id": "r", "since": "2026-01-01", "until": "2026-06-30"}
    findings = [_finding("corrupt_object", "PACS manager") | {"key": f"corrupt_object:{n}"} for n in range(12)]
    told = digest_for({"run": run, "findings": findings}, "PACS manager")
    assert told is not None
    (line,) = (line for line in told.text.splitlines() if line.startswith("- "))
    assert "(12) [corrupt_object:0, " in line and "corrupt_object:9 and 2 more: dose-audit finding list]" in line
    assert "corrupt_object:9" in told.html and "Smith" not in told.text + told.html


@pytest.fixture
def certificate(tmp_path: Path, program: Any) -> tuple[Path, Path]:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=LONG_S)
    return key, cert


Serve = Callable[..., Inbox]


@pytest.fixture
def serve(certificate: tuple[Path, Path], free_port: int) -> Iterator[Serve]:
    """Starts a server that begins TLS later, from the first byte, or not at all, and that may ask for a password."""
    running: list[Controller] = []

    def start(security: str, *, password: bytes | None = None) -> Inbox:
        key, cert = certificate
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        handler = Inbox()

        def signed_on(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login, data.password) == (b"audit", password), handled=False)

        class Served(Controller):
            def factory(self):
                begun_later = context if security == "starttls" else None
                asks = {"authenticator": signed_on, "auth_required": True} if password else {}
                return SMTP(
                    handler,
                    hostname="localhost",
                    tls_context=begun_later,
                    require_starttls=begun_later is not None,
                    **asks,
                )

            def _trigger_server(self):
                """Knock as a client that speaks TLS would: aiosmtpd waits for a first connection."""
                with socket.create_connection(("127.0.0.1", free_port), timeout=LONG_S) as knock:
                    blind = ssl._create_unverified_context()
                    with blind.wrap_socket(knock) if security == "tls" else knock as heard:
                        heard.recv(16)

        server = Served(handler, port=free_port, ssl_context=context if security == "tls" else None, **SERVED)
        server.start()
        running.append(server)
        return handler

    yield start
    for server in running:
        server.stop()


def _reasons(settings: Settings, run_dir: Path) -> set[str]:
    sent = send_digests(settings, run_dir)
    assert {one.state for one in sent} == {"failed"}
    return {one.reason for one in sent}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_is_used_and_a_stranger_is_not_trusted(
    tmp_path, run_dir, certificate, security, prepared, serve, free_port
):
    handler = serve(security)
    stranger = _settings(tmp_path, free_port, security=security)
    (reason,) = _reasons(stranger, run_dir)
    assert "its certificate is not trusted (self-signed certificate); `authorities` names who signed it" in reason
    trusted = _settings(tmp_path, free_port, security=security, authorities=str(certificate[1]))
    assert {s.state for s in send_digests(trusted, run_dir)} == {"sent"}
    assert len(handler.messages) == 2
    if security == "starttls":  # behind TLS from the first byte the server's session does not know of it
        assert all(encrypted for _, encrypted in handler.messages)


def test_a_server_or_somebody_between_that_offers_no_starttls_is_told_nothing(
    tmp_path, run_dir, certificate, prepared, serve, free_port
):
    handler = serve("none")
    settings = _settings(tmp_path, free_port, security="starttls", authorities=str(certificate[1]))
    (reason,) = _reasons(settings, run_dir)
    assert "STARTTLS extension not supported by server. Nothing was sent without it." in reason
    assert not handler.messages


@pytest.mark.parametrize("given", ["right", "wrong"])
def test_the_password_is_sent_behind_starttls_and_told_to_nobody(
    tmp_path, run_dir, certificate, prepared, serve, free_port, given
):
    handler = serve("starttls", password=b"right")
    file = tmp_path / "password"
    file.write_text(f"{given}\n")
    signed_on = {"username": "audit", "password_file": str(file), "authorities": str(certificate[1])}
    settings = _settings(tmp_path, free_port, security="starttls", **signed_on)
    if given == "right":
        assert {one.state for one in send_digests(settings, run_dir)} == {"sent"}
        assert [encrypted for _, encrypted in handler.messages] == [True, True]
    else:
        (reason,) = _reasons(settings, run_dir)
        assert "the sign-on of audit was refused (535 " in reason and "wrong" not in reason
        assert not handler.messages


def test_what_is_wrong_with_the_settings_files_is_told_by_name(
    tmp_path, run_dir, certificate, prepared, serve, free_port
):
    serve("starttls")
    file = tmp_path / "password"
    words = {
        "security": "starttls",
        "authorities": str(certificate[1]),
        "username": "audit",
        "password_file": str(file),
    }

    def reason(port: int = free_port, **more: Any) -> str:
        (told,) = _reasons(_settings(tmp_path, port, **(words | more)), run_dir)
        return told

    assert f"password_file {file}: No such file" in reason()
    file.write_text("\n")
    assert f"password_file {file}: its first line is empty" in reason()
    assert f"authorities {tmp_path / 'ca.pem'}: No such file" in reason(authorities=str(tmp_path / "ca.pem"))
    file.write_text("secret")
    assert f"authorities {file}: " in reason(authorities=str(file))
    assert "is no name" in reason(host="smtp..hospital")
    # Asked to begin TLS later, a server that begins with it waits for us as we for it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = reason(silent.getsockname()[1], timeout_s=0.2)
    assert 'needs security = "tls"' in told


def test_nothing_waiting_is_no_mail_but_nothing_compared_is_told_to_whoever_gets_everything():
    run = {"id": "r", "since": "a", "until": "b", "nothing_compared": ""}
    assert digest_for({"run": run, "findings": []}, "*", everything=True) is None
    told = digest_for(
        {"run": run | {"nothing_compared": "nothing was compared: why"}, "findings": []}, "*", everything=True
    )
    assert told is not None and told.subject == "Dose audit: nothing was compared"


def test_settings_of_mail_are_checked(tmp_path: Path):
    def load(text: str) -> Settings:
        (tmp_path / "dose-audit.toml").write_text(text)
        return load_settings(home=tmp_path, environment={})

    good = load('[mail]\nhost = "smtp"\nsender = "a@b"\n[mail.roles]\nMPE = ["c@d"]\n')
    assert good.mail is not None and good.mail.roles == {"MPE": ("c@d",)} and good.mail.security == "starttls"
    for wrong, says in (
        ('host = "smtp"', "sender"),
        ('host = "smtp"\nsender = "nobody"', "no e-mail address"),
        ('host = "smtp"\nsender = "a@b"\nsecurity = "ssl3"', "security"),
        ('host = "smtp"\nsender = "a@b"\nsecurity = "none"\nusername = "u"', "without encryption"),
        ('host = "smtp"\nsender = "a@b"\npassword = "x"', "unknown"),
        ('host = "smtp"\nsender = "a@b"\nusername = "u"', "password_file"),
    ):
        with pytest.raises(SettingsError, match=says):
            load(f"[mail]\n{wrong}\n")


def test_a_devices_name_writes_no_line_of_its_own() -> None:
    run = {"id": "r", "since": "2026-01-01", "until": "2026-06-30"}
    finding = {
        "kind": "drl_exceeded",
        "severity": "act",
        "state": "new",
        "for_role": "MPE",
        "key": "k",
        "message": "m.\r\n- n",
    }
    finding |= {"site": "North", "equipment": "CT\n\nTo act on\n- all clear\x1b[2J"}
    told = digest_for({"run": run, "findings": [finding]}, "MPE")
    assert told is not None
    assert [line[:22] for line in told.text.splitlines() if line.startswith(("-", "To"))] == [
        "To act on",
        "- North, CT To act on ",
    ]
    assert "\x1b" not in told.text + told.html
