"""Who may come in: AE title, address and certificate together; TLS with certificates on both sides."""

from __future__ import annotations

import logging
import re
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bench.dicom_sender import CT_IMAGE, EXPLICIT_LITTLE, VERIFICATION, Rejected, Sender, connect, data_set
from dose_audit.receive.access import Access, CallerRule, Certificate, plain_address
from dose_audit.receive.listener import Listener, ListenerSettings, PlainRefused, TlsSettings
from dose_audit.receive.spool import Spool
from tests.certificates import Certificates
from tests.patience import quickest, seconds, unhindered

CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, VERIFICATION, (EXPLICIT_LITTLE,))]
CALLED_UNKNOWN = bytes.fromhex("03000000000400010107")
CALLING_UNKNOWN = bytes.fromhex("03000000000400010103")


def test_a_rule_needs_all_its_parts() -> None:
    certificate = Certificate("ct1.example", "ab" * 32)
    rule = CallerRule("CT?", ("192.0.2.0/24", "2001:db8::/32"), "ct1.*")
    assert rule.matches("CT1", "192.0.2.9", certificate)
    assert rule.matches("CT1", "2001:db8::1", certificate)
    assert rule.matches("CT1", "::ffff:192.0.2.9", certificate)
    assert not rule.matches("ct1", "192.0.2.9", certificate)
    assert not rule.matches("CT12", "192.0.2.9", certificate)
    assert not rule.matches("CT1", "192.0.3.9", certificate)
    assert not rule.matches("CT1", "192.0.2.9", None)
    assert not rule.matches("CT1", "192.0.2.9", Certificate("mr1.example", "ab" * 32))
    by_fingerprint = CallerRule(certificate="SHA256:" + ":".join(["AB"] * 32))
    assert by_fingerprint.matches("X", "192.0.2.1", certificate)
    assert not by_fingerprint.matches("X", "192.0.2.1", Certificate("ct1.example", "ac" * 32))


def test_no_rules_let_nobody_in() -> None:
    assert Access([], None).refusal("CT1", "US", "127.0.0.1", None) == "caller"
    assert not Access([], None).knows_address("127.0.0.1")


def test_a_wrong_network_is_found_when_the_rule_is_made() -> None:
    with pytest.raises(ValueError, match="not-a-network"):
        CallerRule("*", ("not-a-network",))


def test_addresses_with_zones_are_understood() -> None:
    assert str(plain_address("fe80::1%eth0")) == "fe80::1"


def test_refusals_say_why_are_counted_and_logged_without_what_was_sent(
    listen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    running = listen(callers=(CallerRule("CT1", ("127.0.0.1/32",)), CallerRule("MR1", ("127.0.0.2/32",))))
    with pytest.raises(Rejected) as wrong_called:
        Sender(running.address, CONTEXTS, calling="CT1", called="OTHER")
    with pytest.raises(Rejected) as wrong_calling:
        Sender(running.address, CONTEXTS, calling="CT2")
    with pytest.raises(Rejected) as wrong_place:
        Sender(running.address, CONTEXTS, calling="MR1")
    assert wrong_called.value.pdu == CALLED_UNKNOWN
    assert wrong_calling.value.pdu == wrong_place.value.pdu == CALLING_UNKNOWN
    Sender(running.address, CONTEXTS, calling="CT1").release()
    Sender(running.address, CONTEXTS, calling="MR1", source="127.0.0.2").release()
    assert running.spool.drops()["refusal"] == {"called AE title": 1, "caller": 2}
    assert "refused 127.0.0.1 as 'CT2': caller (no row of [[callers]] admits this AE title" in caplog.text
    ours = running.listener.settings.aet
    assert f"refused 127.0.0.1 as 'CT1': called AE title (it calls 'OTHER', this is {ours!r})" in caplog.text


def test_an_unknown_address_is_cut_off_before_it_says_a_word(listen) -> None:
    running = listen(callers=(CallerRule("*", ("127.0.0.1/32",)),))
    stranger = connect(running.address, source="127.0.0.3")
    assert stranger.recv(10) == b""
    stranger.close()
    Sender(running.address, CONTEXTS).release()
    assert running.spool.drops()["refusal"] == {"address": 1}


def test_odd_ae_titles_are_tamed_and_do_not_depend_on_who_called_before(
    listen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    running = listen()
    for index, odd in enumerate(("A\\B", "line\nbreak", "\x7f\x01", "")):
        contexts = [(1, f"1.3.6.1.4.1.99999.{index}.{time.time_ns()}", (EXPLICIT_LITTLE,))]  # never answered before
        Sender(running.address, contexts, calling=odd).close()
    with pytest.raises(Rejected):
        Sender(running.address, CONTEXTS, calling="X\nforged line", called="NOBODY")
    assert "\nforged" not in caplog.text


def test_the_called_ae_title_is_not_checked_when_told_so(listen) -> None:
    running = listen(called_aet_check=False)
    Sender(running.address, CONTEXTS, called="WHATEVER").release()


def test_a_flood_of_refusals_writes_one_line(listen, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    running = listen()
    for _ in range(30):
        with pytest.raises(Rejected):
            Sender(running.address, CONTEXTS, called="OTHER")
    assert caplog.text.count("called AE title") == 1
    assert running.spool.drops()["refusal"]["called AE title"] == 30


def test_plain_dicom_says_so_at_every_start_and_needs_permission(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(tmp_path / "s", min_free_bytes=0) as spool:
        with pytest.raises(PlainRefused):
            Listener(ListenerSettings(port=0, plain_allowed=False), spool).start()
        for _ in range(2):
            listener = Listener(ListenerSettings(port=0), spool)
            listener.start()
            listener.stop(0)
    assert caplog.text.count("plain DICOM without TLS") == 2


@pytest.fixture(scope="session")
def authority(program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and certificates: server, ct1, mr1, and a stranger by another authority."""
    made = Certificates(program("openssl"), tmp_path_factory.mktemp("certificates"))
    for name in ("authority", "other"):
        made.authority(name)
    for name, signer in (("server", "authority"), ("ct1", "authority"), ("mr1", "authority"), ("stranger", "other")):
        names = "DNS:localhost,IP:127.0.0.1" if name == "server" else ""
        made.signed(name, signer, subject=f"{name}.example", names=names)
    return made.folder


@pytest.fixture
def secure_listener(listen, authority: Path):
    """Starts a listener that demands certificates, each time another one."""
    tls = TlsSettings(authority / "server.pem", authority / "server.key", authority / "authority.pem")
    rules = (CallerRule("CT1", (), "ct1.example"),)
    return lambda: listen(tls=tls, plain_allowed=False, negotiation_timeout_s=60, callers=rules)


@pytest.fixture
def secure(secure_listener):
    return secure_listener()


def client(authority: Path, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority / "authority.pem"))
    if name:
        context.load_cert_chain(authority / f"{name}.pem", authority / f"{name}.key")
    return context


def call_securely(running, context: ssl.SSLContext, calling: str = "CT1") -> Sender:
    connection = context.wrap_socket(connect(running.address), server_hostname="localhost")
    return Sender(running.address, CONTEXTS, connection=connection, calling=calling)


def test_tls_stores_with_the_right_certificate(secure, authority: Path) -> None:
    sender = call_securely(secure, client(authority, "ct1"))
    assert sender.socket.version() in ("TLSv1.2", "TLSv1.3")
    data = data_set(CT_IMAGE, "1.2.3", 700_000)
    assert sender.store(CT_IMAGE, "1.2.3", data) == 0
    assert sender.release()[:1] == b"\x06"
    [item] = secure.objects()
    assert item.path.read_bytes().endswith(data)


def test_tls_binds_ae_title_and_certificate(secure, authority: Path) -> None:
    for name, calling in (("mr1", "CT1"), ("ct1", "MR1")):
        with pytest.raises(Rejected) as rejection:
            call_securely(secure, client(authority, name), calling)
        assert rejection.value.pdu == CALLING_UNKNOWN


def test_tls_refuses_who_shows_no_certificate_or_a_strangers(secure, authority: Path, eventually) -> None:
    for name in (None, "stranger"):
        with pytest.raises(OSError):
            call_securely(secure, client(authority, name))
    refusals = {
        "TLS handshake: no certificate": 1,
        "TLS handshake: the caller's certificate: unable to get local issuer certificate": 1,
    }
    eventually(lambda: secure.spool.drops()["refusal"] == refusals)
    call_securely(secure, client(authority, "ct1")).release()


def test_doctor_and_listener_say_what_is_wrong_with_certificates(authority: Path, tmp_path: Path, program) -> None:
    from dose_audit.config import Settings
    from dose_audit.doctor import examine
    from dose_audit.receive.errors import TlsFilesError
    from dose_audit.receive.tls import server_context

    key, expired = authority / "server.key", tmp_path / "expired.pem"
    subprocess.run(
        [program("openssl"), "x509", "-in", authority / "server.pem", "-signkey", key, "-days", "-1", "-out", expired],
        check=True,
        capture_output=True,
    )
    locked, odd_key, odd = tmp_path / "locked.key", tmp_path / "odd.key", tmp_path / "odd.pem"
    for arguments in (
        ("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked),
        ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout", odd_key,
         "-out", odd, "-days", "2", "-subj", "/CN=odd"),
    ):  # fmt: skip
        subprocess.run([program("openssl"), *arguments], check=True, capture_output=True)
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    trusted = authority / "authority.pem"
    for certificate, own_key, authorities, told in (
        (authority / "server.pem", key, trusted, None),
        (tmp_path / "gone.pem", key, trusted, "tls_certificate .*gone.pem: No such file"),
        (authority / "server.pem", authority / "ct1.key", trusted, "do not belong together"),
        (authority / "server.pem", key, empty, "tls_authorities .*empty.pem holds no certificate"),
        (empty, key, trusted, "are no certificate and key in PEM"),
        (authority / "server.pem", key, None, "TLS needs all three"),
        (expired, key, trusted, "expired.pem: certificate has expired"),
        (authority / "server.pem", locked, trusted, "locked.key is encrypted"),
        (odd, odd_key, trusted, "odd.pem: no caller can come in by it"),
    ):
        settings = Settings(
            home=tmp_path / "home", tls_certificate=certificate, tls_key=own_key, tls_authorities=authorities
        )
        (check,) = [one for one in examine(settings) if one.name == "transport"]
        assert check.status == ("fail" if told else "ok"), check.detail
        assert told is None or re.search(told, check.detail)
    with pytest.raises(TlsFilesError, match="do not belong together"):
        server_context(TlsSettings(authority / "server.pem", authority / "ct1.key", trusted))
    (check,) = [o for o in examine(Settings(home=tmp_path / "home", plain_dicom=False)) if o.name == "transport"]
    assert (check.status, "no TLS" in check.detail) == ("fail", True)


def test_refusals_are_told_while_the_listener_runs(listen, monkeypatch, eventually) -> None:
    """Nothing was stored since, so that no commit took the counts with it."""
    from dose_audit.receive import listener
    from dose_audit.receive.spool import Spool

    monkeypatch.setattr(listener, "_TELL_EVERY_S", 0.05)
    running = listen()
    serving = threading.Thread(target=running.listener.serve_forever, daemon=True)
    serving.start()
    with connect(running.address) as caller, Spool(running.spool.root, min_free_bytes=0) as other:
        caller.sendall(b"GET / HTTP/1.1\r\n\r\n")
        eventually(lambda: other.drops()["refusal"])
    running.listener.request_stop()
    serving.join()


def test_tls_refuses_old_versions_and_weak_ciphers(secure, authority: Path) -> None:
    old = client(authority, "ct1")
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    weak = client(authority, "ct1")
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA:AES256-SHA:@SECLEVEL=0")
    for context in (old, weak):
        with pytest.raises(OSError):
            call_securely(secure, context)


def test_plain_callers_of_a_tls_port_get_nothing_and_disturb_nobody(secure, authority: Path) -> None:
    with pytest.raises(OSError):
        Sender(secure.address, CONTEXTS)
    silent = [connect(secure.address) for _ in range(50)]
    context = client(authority, "ct1")
    assert unhindered(lambda: call_securely(secure, context).release()) < 2
    for connection in silent:
        connection.close()


def test_fingerprints_are_those_that_openssl_prints(authority: Path, program, listen) -> None:
    output = subprocess.run(
        [program("openssl"), "x509", "-in", authority / "mr1.pem", "-noout", "-fingerprint", "-sha256"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    fingerprint = output.split("=")[1].strip()
    tls = TlsSettings(authority / "server.pem", authority / "server.key", authority / "authority.pem")
    running = listen(tls=tls, callers=(CallerRule("*", (), f"sha256:{fingerprint}"),))
    call_securely(running, client(authority, "mr1"), "ANY").release()
    with pytest.raises(Rejected):
        call_securely(running, client(authority, "ct1"), "ANY")


def test_a_tls_listener_stops_gracefully_with_idle_callers(secure_listener, authority: Path) -> None:
    def stop() -> float:
        running = secure_listener()
        with call_securely(running, client(authority, "ct1")) as sender:
            took = seconds(lambda: running.listener.stop(5))
            try:
                assert sender.socket.recv(10)[:1] in (b"", b"\x07")
            except OSError:
                pass  # over TLS the end of the connection may be all that comes
        return took

    assert quickest(stop, 3) < 3


def test_dcmtk_over_tls(secure, authority: Path, program) -> None:
    outcome = subprocess.run(
        [
            program("echoscu"), "+tls", str(authority / "ct1.key"), str(authority / "ct1.pem"),
            "+cf", str(authority / "authority.pem"), "-aet", "CT1", "-aec", "DOSEAUDIT",
            "127.0.0.1", str(secure.address[1]),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
