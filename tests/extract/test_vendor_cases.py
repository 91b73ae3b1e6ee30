"""Every vendor's special case that is known from OpenREM's issues is a row of a table here, or refused with a reason."""

from __future__ import annotations

import pytest

from dose_audit.extract.dose_screen import DOSE_SCREENS
from dose_audit.extract.image_quirks import IMAGE_QUIRKS
from dose_audit.extract.quirks import QUIRKS

# Case, its issues, and the rows that answer it (of `QUIRKS` by id, of `IMAGE_QUIRKS` by code).
CASES: tuple[tuple[str, str, str], ...] = (
    ("GE OEC MiniView without template sequence", "746 499", "oec-miniview-no-template"),
    ("Siemens Arcadis Varic summary", "433", "siemens-arcadis-summary"),
    ("Philips Azurion's device type", "673", "azurion-device-type"),
    ("Philips without calibration date", "770", "calibration-date-missing"),
    ("Philips Allura private frames and table height", "", "philips-private-items"),
    ("Philips Allura wedges and shutters", "446", "philips-shutters"),
    ("reference point as text", "364", "reference-point-as-text"),
    ("target region without a code", "765 518", "empty-target-region"),
    ("Philips Brilliance capture without times", "500", "screen_without_times"),
    ("Philips Brilliance sequence of unknown VR", "302", "sequence_of_unknown_vr"),
    ("Philips Brilliance capture without total", "967", "screen_without_total"),
    ("Philips Eleva without device type", "464", "eleva-no-device-type"),
    ("Philips spelling of aluminium", "593", "aluminium-spelling"),
    ("Philips Ingenuity localisers", "", "philips-ingenuity-localizers"),
    ("Siemens Artis patient position in a comment", "432", "siemens-artis-comment"),
    ("Siemens Intevo's other meaning", "380", "siemens-intevo-tube-current"),
    ("Siemens CT cumulative and continued reports", "114 625", "cumulative-reports"),
    ("Siemens CT modulation in a comment", "", "siemens-ct-modulation-comment"),
    ("Siemens Multix filter in Filter Type", "905", "filter_in_type"),
    ("Siemens Mammomat's accumulated dose", "329 780", "mammomat-accumulated-agd"),
    ("Siemens Gym2 and other spellings of units", "704 808", "unit-spellings"),
    ("Siemens Fluorospot makes two modalities", "580 613", "fluorospot-two-modalities"),
    ("Toshiba two values with a slash", "670", "toshiba-slash-values"),
    ("Toshiba orientation modifier's level", "227 561", "orientation-modifier-level"),
    ("Toshiba protocol in Image Comments", "482", "protocol_in_comments"),
    ("Toshiba CT dose in private elements", "", "dose_in_private_elements"),
    ("Canon CXDI without a measured value", "955", "number-without-value"),
    ("Canon CXDI request in Study Description", "", "request_in_study"),
    ("Carestream DRX-Revolution without request", "", "request_in_study"),
    ("Kodak DR 7500 distance in decimetres", "", "distance_in_decimetres"),
    ("Kodak DR 7500 comma in thickness", "338 645", "comma_for_backslash"),
    ("Carestream filter thickness swapped", "453", "filter_swapped filter-thickness-swapped"),
    ("DRGEM decimals in integers", "1033", "decimals_in_integer"),
    ("wrong lengths and text in Patient's Size", "1006 896", "unreadable-element"),
    ("no acquisition date or time", "271", "no-acquisition-time"),
    ("vendors' own exposure indicators", "", "vendor_exposure_index"),
    ("GE Surgery C-arm meanings and observer UID", "739", "ge-surgery-meanings device-observer-uid-as-text"),
    ("GE zero-length request", "", "empty-request-attributes"),
    ("GE Senographe force in decinewton", "135", "force_in_decinewton"),
    ("GE radiological thickness", "", "radiological_thickness"),
    ("Hologic laterality at the top level", "411", "laterality_at_top"),
    ("for-processing and for-presentation twins", "", "twin-images"),
    ("Spectrum Dynamics' invalid participant", "865", "invalid-person-participant"),
    ("Varian without study time", "681", "varian-no-study-time"),
    ("Ziehm without summary data", "769", "number-without-value"),
    ("Eurocolumbus values per pulse", "584", "per-pulse-lists"),
    ("Hologic's code of detector data", "", "hologic-detector-data-code"),
    ("IMPAX Modalities in Study", "627", "impax-modalities-in-study"),
    ("station names of archives", "799", "pacs-station-names"),
    ("observer UID shared by a model", "908", "shared-device-observer-uid"),
)

ROWS = {quirk.id: f"{quirk.defect} {quirk.handling} {quirk.evidence}" for quirk in QUIRKS} | {
    quirk.code: " ".join(
        f"{row.defect} {row.handling} {row.evidence}" for row in IMAGE_QUIRKS if row.code == quirk.code
    )
    for quirk in IMAGE_QUIRKS
}


@pytest.mark.parametrize(("case", "issues", "rows"), CASES, ids=[case for case, _, _ in CASES])
def test_the_case_has_a_row_that_names_its_issues(case: str, issues: str, rows: str) -> None:
    answers = " ".join(ROWS[row] for row in rows.split())
    assert [issue for issue in issues.split() if issue not in answers] == []


def test_what_is_refused_says_why() -> None:
    refused = [quirk for quirk in QUIRKS if quirk.refused]
    assert {quirk.id for quirk in refused} == {"impax-modalities-in-study", "pacs-station-names"}
    assert all(len(quirk.refused.split()) > 4 for quirk in refused if quirk.refused)


def test_pictures_of_dose_of_every_maker_of_scanners_are_known() -> None:
    assert {"philips", "siemens", "^ge ", "toshiba|canon"} <= {screen.manufacturer for screen in DOSE_SCREENS}
