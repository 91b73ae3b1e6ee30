"""What is taken out of a text, told by Unicode's own categories, and that nothing else is."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dose_audit.texts import REPLACEMENT, RoleError, clean, clean_values, escaped, is_clean_json, named_role, one_line

EVERY = [chr(point) for point in range(sys.maxunicode + 1)]


TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _is_hostile(character: str) -> bool:
    category, point = unicodedata.category(character), ord(character)
    if category == "Cc":
        return character not in "\t\n\r"
    noncharacter = 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
    return noncharacter or category == "Cs" or unicodedata.bidirectional(character) in TURNS


def test_every_character_that_there_is() -> None:
    assert clean("\0") == ""
    every = EVERY[1:]
    wrong = [
        (was, now)
        for was, now in zip(every, clean("".join(every)), strict=True)
        if now != (REPLACEMENT if _is_hostile(was) else was)
    ]
    assert not wrong


def test_what_is_left_is_xml_and_utf8() -> None:
    """XML 1.0 of the W3C, section 2.2, as expat keeps it."""
    left = clean("".join(EVERY)).translate({ord(character): None for character in "<&\r"})
    assert ElementTree.fromstring(f"<a>{left}</a>".encode()).text == left


@pytest.mark.parametrize(
    "text",
    [
        "胸部CT",
        "Thorax – Abdomen",
        "صدر مع صبغة",
        "חזה\u200f CT\u200e",
        "नि",
        "e\u0301",
        "👩🏽\u200d⚕️",
        "🇳🇴",
        "\ufeff\u00adx",
    ],
)
def test_scripts_marks_and_joiners_stay(text: str) -> None:
    assert clean(text) == one_line(text) == text


def test_a_line_is_one_line() -> None:
    text = one_line("a\r\nb\n\n\tc\u2028d\u2029e\x0bf\x0cg\x85h")
    assert text.splitlines() == [text]
    assert text == "a b c d e\ufffdf\ufffdg\ufffdh"


@given(st.text(alphabet=st.characters()))
def test_escapes_change_no_json(text: str) -> None:
    written = escaped(json.dumps({text: text}, ensure_ascii=False, indent=2))
    assert json.loads(written) == {text: text}
    assert clean(written) == written
    assert written.split("\n") == written.splitlines()


@given(st.recursive(st.text(alphabet=st.characters(), max_size=4), lambda inner: st.lists(inner, max_size=3)))
def test_clean_json_is_told(value: object) -> None:
    """Never called clean wrongly; called unclean wrongly only for whole characters beyond the first 65,536."""
    written = json.dumps(value)
    if is_clean_json(written):
        assert clean_values(value) == value
    elif clean_values(value) == value:
        assert any(ord(character) > 0xFFFF for character in json.dumps(value, ensure_ascii=False)) or "\\\\" in written


def test_a_megabyte_is_no_burden() -> None:
    text = "\x1b" * 1_000_000
    assert clean(text) == REPLACEMENT * 1_000_000
    assert len(one_line("\r\n" * 500_000)) == 1
    io.StringIO().write(escaped('"' + "\x9b" * 100_000 + '"'))


@pytest.mark.parametrize(
    "text", ["", "  ", "-", "12", "mpe@hospital.example", "a" * 101, "\x1b[", "Dr A. B.", "MPE (Frau X)"]
)
def test_what_names_no_role_is_refused(text: str) -> None:
    with pytest.raises(RoleError, match="names no role"):
        named_role(text)
    for role in ("Médica, 2.º turno", "MR physicist", "DR superintendent", "Professor of medical physics"):
        assert named_role(f" {role}\n") == role
