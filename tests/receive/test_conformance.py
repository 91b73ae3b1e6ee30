"""The conformance statement says what the software negotiates, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pynetdicom import AllStoragePresentationContexts, sop_class

from bench.dicom_sender import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Sender
from dose_audit.receive import commitment, dimse, negotiate, part10, pdu
from dose_audit.receive.settings import ListenerSettings

STATEMENT = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Text of a section, up to the next heading."""
    match = re.search(rf"^#+ {re.escape(title)}.*?$(.*?)(?=^#|\Z)", STATEMENT, re.MULTILINE | re.DOTALL)
    assert match, title
    return match.group(1)


def rows(text: str) -> list[list[str]]:
    """Cells of the tables in a text, without their heads."""
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    lines = [line for table in tables for line in table.strip().splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def uids(text: str) -> set[str]:
    return {row[1].strip("`") for row in rows(text)}


def negotiated(address: tuple[str, int], offers: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Result of each abstract and transfer syntax, asked for in lots of 100."""
    results = {}
    for start in range(0, len(offers), 100):
        lot = {2 * n + 1: offer for n, offer in enumerate(offers[start : start + 100])}
        with Sender(address, [(n, abstract, (syntax,)) for n, (abstract, syntax) in lot.items()]) as sender:
            results.update({lot[n]: result for n, (result, _) in sender.contexts.items()})
            sender.release()
    return results


def test_every_storage_class_of_annex_a_is_accepted_and_none_is_missing(listen) -> None:
    stated = uids(section("Annex A"))
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} <= stated
    assert stated == {str(uid) for uid in sop_class._STORAGE_CLASSES.values()}
    results = negotiated(listen().address, [(uid, IMPLICIT_LITTLE) for uid in sorted(stated)])
    assert set(results.values()) == {0}


def test_every_transfer_syntax_of_annex_b_is_accepted(listen) -> None:
    from pynetdicom import ALL_TRANSFER_SYNTAXES

    stated = uids(section("Annex B"))
    assert {str(uid) for uid in ALL_TRANSFER_SYNTAXES} <= stated
    results = negotiated(listen().address, [("1.2.840.10008.5.1.4.1.1.2", uid) for uid in sorted(stated)])
    assert set(results.values()) == {0}


def test_other_services_are_answered_as_stated(listen) -> None:
    named = set(re.findall(r"`([\d.]+)`", section("2.2.3")))
    assert named == {negotiate.VERIFICATION, negotiate.STORAGE_COMMITMENT}
    offers = [(uid, syntax) for uid in named for syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE)]
    refused = [(uid, "1.2.840.10008.1.2.4.90") for uid in named]
    others = [
        (str(uid), IMPLICIT_LITTLE)
        for group in (sop_class._QR_CLASSES, sop_class._BASIC_WORKLIST_CLASSES, sop_class._PRINT_MANAGEMENT_CLASSES)
        for uid in group.values()
    ]
    results = negotiated(listen().address, offers + refused + others)
    assert {results[offer] for offer in offers} == {0}
    assert {results[offer] for offer in refused} == {4}
    assert {results[offer] for offer in others} == {3}


def test_facts_are_those_of_the_code() -> None:
    defaults = ListenerSettings()
    assert {row[0]: row[1] for row in rows(section("2.2.1"))} == {
        "Implementation Class UID": part10.IMPLEMENTATION_CLASS_UID,
        "Implementation Version Name": negotiate.IMPLEMENTATION_VERSION_NAME,
        "Application Context Name": negotiate.APPLICATION_CONTEXT,
        "AE title (default)": defaults.aet,
        "TCP port (default)": str(defaults.port),
        "Maximum PDU length received (default)": str(defaults.max_pdu),
        "Longest A-ASSOCIATE-RQ": str(pdu.MAX_ASSOCIATE_BYTES),
        "Longest command set": str(dimse.MAX_COMMAND_BYTES),
        "Longest data set (default)": str(defaults.max_object_bytes),
        "Simultaneous associations (default)": str(defaults.max_associations),
        "Simultaneous associations from one address (default)": str(defaults.max_associations_per_address),
        "Time for the A-ASSOCIATE-RQ, s (default)": f"{defaults.negotiation_timeout_s:g}",
        "Longest silence in an association, s (default)": f"{defaults.idle_timeout_s:g}",
        "Longest time for one object, s (default)": f"{defaults.object_timeout_s:g}",
        "Asynchronous operations (invoked, performed)": "1, 1",
    }


def test_the_accepted_association_shows_the_stated_identity(listen) -> None:
    running = listen()
    with Sender(running.address) as sender:
        answer = sender.answer
        assert sender.max_pdu == ListenerSettings().max_pdu
        sender.release()
    facts = {row[0]: row[1].encode() for row in rows(section("2.2.1"))}
    assert b"\x52\0" in answer and facts["Implementation Class UID"] in answer
    assert b"\x55\0" in answer and facts["Implementation Version Name"] in answer


def test_rejections_and_statuses_are_those_of_the_code() -> None:
    stated = {(int(row[1]), int(row[2]), int(row[3])) for row in rows(section("2.2.2"))}
    assert stated == {value for name, value in vars(pdu).items() if name.startswith("REJECT_")}
    statuses = {int(row[0], 16) for row in rows(section("2.2.5"))}
    assert statuses == {
        dimse.SUCCESS,
        dimse.OUT_OF_RESOURCES,
        dimse.DATA_SET_MISMATCH,
        dimse.CANNOT_UNDERSTAND,
        dimse.INVALID_SOP_INSTANCE,
        dimse.SOP_CLASS_NOT_SUPPORTED,
    }
    answers = {int(row[0], 16) for row in rows(section("2.2.6"))}
    assert answers == set(commitment.FAILURE_REASONS.values()) | {
        dimse.SUCCESS,
        dimse.PROCESSING_FAILURE,
        dimse.INVALID_ARGUMENT,
        dimse.SOP_CLASS_NOT_SUPPORTED,
        dimse.NO_SUCH_ACTION,
        dimse.RESOURCE_LIMITATION,
    }


@pytest.mark.parametrize(("scu", "scp", "answer"), [(True, False, (1, 0)), (True, True, (1, 0))])
def test_role_selection_is_answered_as_stated(listen, scu: bool, scp: bool, answer: tuple[int, int]) -> None:
    uid = b"1.2.840.10008.5.1.4.1.1.2"
    item = b"\x54\0" + (len(uid) + 4).to_bytes(2, "big") + len(uid).to_bytes(2, "big") + uid + bytes((scu, scp))
    running = listen()
    with Sender(running.address, user_items=item) as sender:
        at = sender.answer.index(b"\x54\0")
        assert tuple(sender.answer[at + 6 + len(uid) : at + 8 + len(uid)]) == answer
        sender.release()
