"""Folding of retired code spellings, against pydicom's copy of the standard's mapping."""

from __future__ import annotations

import pytest
from pydicom.sr._snomed_dict import mapping

from dose_audit.extract.codes import Code, fold, key, snomed_pairs


def test_every_pair_that_pydicom_knows_too_is_the_same() -> None:
    theirs = mapping["SRT"]
    common = {srt: sct for srt, sct in snomed_pairs().items() if srt in theirs}
    assert len(common) > 700
    assert {srt: (sct, theirs[srt]) for srt, sct in common.items() if theirs[srt] != sct} == {}


@pytest.mark.parametrize("scheme", ["SRT", "SNM3", "99SDM"])
def test_the_three_spellings_of_snomed_rt(scheme: str) -> None:
    assert fold(scheme, "T-D4000") == ("SCT", "113345001")
    assert key(Code("T-D4000", scheme, "Abdomen")) == key(Code("113345001", "SCT", "Abdomen"))


def test_a_pair_that_is_not_known_stays_as_sent() -> None:
    assert fold("SRT", "T-XXXXX") == ("SRT", "T-XXXXX")
    assert fold("UCUM", "T-D4000") == ("UCUM", "T-D4000")


def test_the_retired_twin_of_exposure_time() -> None:
    assert fold("DCM", "113735") == fold("DCM", "113824") == ("DCM", "113824")
    assert fold("99X", "113735") == ("99X", "113735")
