"""The table of image header defects: complete, selective, and fields whose units exist."""

from __future__ import annotations

import re

import pytest
from pydicom.datadict import tag_for_keyword

from dose_audit.extract.ct_image import CT_FIELDS, SOURCE_FIELDS
from dose_audit.extract.dose_screen import DOSE_SCREENS, SCREEN_EVENT_FIELDS, SCREEN_SOURCE_FIELDS
from dose_audit.extract.image_fields import Element, Field
from dose_audit.extract.image_quirks import IMAGE_QUIRKS
from dose_audit.extract.mammography_image import ACQUISITION_FIELDS, MAMMOGRAPHY_FIELDS
from dose_audit.extract.nuclear_image import ACTIVITY_RANGES, ADMINISTRATION_FIELDS
from dose_audit.extract.projection_image import PROJECTION_FIELDS
from dose_audit.extract.units import QUANTITIES, factor_for

TABLES = {
    "ct": CT_FIELDS + SOURCE_FIELDS,
    "projection": PROJECTION_FIELDS,
    "mammography": MAMMOGRAPHY_FIELDS + ACQUISITION_FIELDS,
    "administration": ADMINISTRATION_FIELDS,
    "screen": SCREEN_EVENT_FIELDS + SCREEN_SOURCE_FIELDS,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_row_names_an_element_of_the_dictionary_and_a_unit_of_its_quantity(table: tuple[Field, ...]) -> None:
    for row in table:
        assert row.quantity in QUANTITIES
        for source in row.sources:
            assert factor_for(source.unit, row.quantity) is not None, row
            if isinstance(source, Element):
                assert tag_for_keyword(source.keyword) is not None, source.keyword


def test_every_defect_says_what_is_done_and_what_shows_it() -> None:
    for quirk in IMAGE_QUIRKS:
        assert quirk.defect and quirk.handling and quirk.evidence and quirk.code
        assert quirk.manufacturer, "a repair for every maker is no exception"
        re.compile(quirk.manufacturer)
        re.compile(quirk.model)


@pytest.mark.parametrize(
    "maker",
    [
        "KODAK",
        "Carestream Health",
        "SIEMENS",
        "DRGEM",
        "GE MEDICAL SYSTEMS",
        "HOLOGIC, Inc.",
        "TOSHIBA",
        "Canon Inc.",
        "FUJIFILM Corporation",
        "Agfa",
        "KONICA MINOLTA",
        "Swissray",
        "Philips",
    ],
)
def test_makers_with_known_defects_are_in_the_table(maker: str) -> None:
    assert any(re.search(quirk.manufacturer, maker, re.IGNORECASE) for quirk in IMAGE_QUIRKS)


def test_every_dose_screen_has_something_to_be_known_by() -> None:
    assert all(screen.series_description or screen.image_type for screen in DOSE_SCREENS)


def test_activity_ranges_cover_every_number_without_a_gap() -> None:
    for ranges in ACTIVITY_RANGES.values():
        limits = [entry.below for entry in ranges]
        assert limits == sorted(limits)
        assert limits[-1] == float("inf")
