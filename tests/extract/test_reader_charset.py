"""Text in every Specific Character Set, against the examples that the standard prints byte by byte."""

from __future__ import annotations

import pytest

from dose_audit.extract._charset import charset

# Specific Character Set, bytes, text: PS3.5 Annexes H (Japanese), I (Korean), J (UTF-8, GB18030), K (GB2312)
STANDARDS_NAMES = [
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        "ISO_IR 192",
        bytes.fromhex("57616e675e5869616f446f6e673de78e8b5ee5b08fe4b89c3d"),
        "Wang^XiaoDong=王^小东=",
    ),
    (
        "GB18030",
        bytes.fromhex("57616e675e5869616f446f6e673dcdf55ed0a1b6ab3d"),
        "Wang^XiaoDong=王^小东=",
    ),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
]


@pytest.mark.parametrize(("terms", "raw", "text"), STANDARDS_NAMES, ids=[row[0] for row in STANDARDS_NAMES])
def test_names_of_the_standard(terms: str, raw: bytes, text: str) -> None:
    assert charset(terms.encode()).decode_name(raw) == text


# The single-byte sets are ISO 8859 parts, of which Python has its own tables.
SINGLE_BYTE = {
    "ISO_IR 100": "iso8859-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 166": "iso8859-11",
    "ISO_IR 203": "iso8859-15",
}


@pytest.mark.parametrize("term", SINGLE_BYTE)
def test_single_byte_sets(term: str) -> None:
    raw = bytes(range(0xA1, 0x100))
    assert charset(term.encode()).decode(raw) == raw.decode(SINGLE_BYTE[term], "replace")


def test_a_set_switched_on_by_its_escape_sequence_ends_at_a_delimiter() -> None:
    # Latin-1 by default, Cyrillic after ESC - L, until the backslash puts the first set back in force.
    mixed = charset(b"ISO 2022 IR 100\\ISO 2022 IR 144")
    assert mixed.decode("Größe ".encode("latin-1") + b"\x1b-L\xb4\xde\xd7\xd0\\\xe4") == "Größe Доза\\ä"


def test_name_components_end_an_escape_sequence_and_plain_text_does_not() -> None:
    mixed = charset(b"ISO 2022 IR 100\\ISO 2022 IR 144")
    assert mixed.decode_name(b"\x1b-L\xb4\xde^\xe4") == "До^ä"
    assert mixed.decode(b"\x1b-L\xb4\xde^\xd7\xd0") == "До^за"


@pytest.mark.parametrize(
    "term", ["ISO-IR 100", "ISO IR 100", "ISO_IR_100", "iso_ir 100", "ISO 2022 IR 100", "ISOOIR 100"]
)
def test_misspelt_terms(term: str) -> None:
    assert charset(term.encode()).decode(b"M\xfcller") == "Müller"


def test_any_letter_in_place_of_the_underscore() -> None:
    for letter in "-O ß":  # the last one is two letters in capitals
        assert charset(f"ISO{letter}IR 192".encode("latin-1")).decode("Müller".encode()) == "Müller"


def test_an_unknown_or_absent_set_keeps_every_byte() -> None:
    for term in (b"", b"ISO_IR 6", b"NO SUCH SET", b"hex", b"\xff\xfe"):
        assert charset(term).decode(bytes(range(32, 256))) == bytes(range(32, 256)).decode("latin-1")


def test_bytes_outside_the_set_become_replacement_characters() -> None:
    assert charset(b"ISO_IR 192").decode(b"a\xffb") == "a\ufffdb"


def test_no_escape_sequence_makes_it_raise() -> None:
    for tail in (b"", b"$", b"$(", b"$(Z", b"%G\xff", b"(J\\", b"$B\x21"):
        assert isinstance(charset(b"\\ISO 2022 IR 87").decode(b"x\x1b" + tail), str)
