"""The encoder is held to pydicom byte by byte, the codes to pydicom's dictionaries, the reports to dcmtk."""

from __future__ import annotations

import io
import shutil
import subprocess

import pydicom
import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from dose_audit.demo import codes
from dose_audit.demo.encode import Private, attributes, element


def _decode_all(data_set: pydicom.Dataset) -> None:
    for item in data_set:
        if item.VR == "SQ":
            for entry in item.value:
                _decode_all(entry)


def test_pydicom_writes_the_same_bytes(some_objects):
    # One of each device and of each kind of exam: pydicom needs tens of milliseconds for a report.
    chosen = {(exam.device.key, exam.variant): (exam, written) for exam, written in some_objects}
    compared = 0
    for exam, written in chosen.values():
        if exam.variant == "corrupt_object":
            continue
        data_set = pydicom.dcmread(io.BytesIO(written.data))
        copy = pydicom.Dataset()
        for item in data_set:  # a decoded copy: otherwise pydicom may pass raw elements through
            copy[item.tag] = pydicom.DataElement(item.tag, item.VR, item.value)
        _decode_all(copy)
        copy.file_meta = data_set.file_meta
        buffer = io.BytesIO()
        copy.save_as(buffer, enforce_file_format=False, implicit_vr=False, little_endian=True)
        written_set = written.data[written.data.index(b"DOSEAUDIT_DEMO") + 14 :]
        again = buffer.getvalue()
        assert again[again.index(b"DOSEAUDIT_DEMO") + 14 :] == written_set, exam.device.key
        compared += 1
    assert compared >= 18


def test_every_value_satisfies_its_value_representation(some_objects):
    checked = 0
    for exam, written in some_objects:
        if exam.variant == "corrupt_object":
            continue
        with pydicom.config.disable_value_validation():
            data_set = pydicom.dcmread(io.BytesIO(written.data))
        stack = [data_set, data_set.file_meta]
        while stack:
            for item in stack.pop():
                if item.VR == "SQ":
                    stack.extend(item.value)
                elif item.value not in (None, ""):
                    values = item.value if item.VM > 1 else [item.value]
                    for value in values:
                        text = getattr(value, "original_string", value)  # decimal strings as written
                        pydicom.valuerep.validate_value(item.VR, text, pydicom.config.RAISE)
                        checked += 1
    assert checked > 10_000


@pytest.mark.parametrize("meaning", sorted(codes._DCM))
def test_dcm_codes_are_those_of_pydicom(meaning):
    # pydicom has the later, longer meaning of one concept; reports carry the shorter one.
    expected = {"Accumulated Average Glandular Dose": "Accumulated Average Glandular Dose (mammo)"}
    known = {code: text for entry in concepts["DCM"].values() for code, (text, _) in entry.items()}
    assert known[codes.dcm(meaning)[0]] == expected.get(meaning, meaning)


@pytest.mark.parametrize("meaning", sorted(codes.SNOMED))
def test_snomed_pairs_are_those_of_pydicom(meaning):
    retired, current = codes.SNOMED[meaning]
    # CID 4010 has R-10214 and TID 10022 F-61FDB; pydicom's table knows another SNOMED RT code of each
    # concept.
    expected = {"postero-anterior": "R-40888", "Radiopharmaceutical agent": "C-B02C9"}
    assert mapping["SCT"][current] == expected.get(meaning, retired)


def test_private_and_binary_elements():
    encoded = attributes({0x70051063: Private("FD", 12.5), 0x70050010: Private("LO", "TOSHIBA_MEC_CT3"), "Rows": 8})
    data_set = pydicom.filereader.read_dataset(io.BytesIO(encoded), is_implicit_VR=False, is_little_endian=True)
    assert data_set[0x7005, 0x1063].value == 12.5
    assert data_set.Rows == 8


def test_an_element_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        element(0x00081030, "LO", b"x" * 70_000)
    with pytest.raises(KeyError, match="NoSuchKeyword"):
        attributes({"NoSuchKeyword": "1"})


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dcmtk's dsrdump is not installed")
def test_dcmtk_reads_every_style_of_report(some_objects, tmp_path):
    seen = {}
    for exam, written in some_objects:
        if written.truth and written.truth["sources"][0]["kind"] != "image":
            seen.setdefault((exam.device.key, exam.variant), written)
    for (device, variant), written in seen.items():
        path = tmp_path / "report.dcm"
        path.write_bytes(written.data)
        # -Ev: dcmtk 3.6.7 calls an offset of +0000 invalid, which PS3.5 allows (only -0000 is forbidden).
        run = subprocess.run(["dsrdump", "-Ev", "+Pc", str(path)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, (device, variant, run.stderr)
        assert not [line for line in run.stderr.splitlines() if line.startswith(("E:", "F:"))], device
        assert "X-Ray Radiation Dose Report" in run.stdout
        for event in written.truth["events"]:
            assert event["irradiation_event_uid"] in run.stdout


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk's dcmdump is not installed")
def test_dcmtk_reads_every_image(some_objects, tmp_path):
    seen = {written.device: written for _, written in some_objects if written.truth}
    for device, written in seen.items():
        path = tmp_path / "object.dcm"
        path.write_bytes(written.data)
        run = subprocess.run(["dcmdump", "-q", str(path)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, (device, run.stderr)
