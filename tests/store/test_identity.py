"""The pseudonym key, and the hashes that stand for identifiers."""

from __future__ import annotations

import hashlib
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dose_audit.store.identity import keyed_hash, load_key


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pseudonym.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(load_key, [path] * 8))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["pseudonym.key"]


@pytest.mark.parametrize("content", ["", "not hex", "ab" * 8])
def test_a_damaged_key_is_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pseudonym.key"
    path.write_text(content)
    with pytest.raises(ValueError, match="restore it"):
        load_key(path)
    assert path.read_text() == content


def test_the_hash_is_hmac_sha256_of_purpose_and_text() -> None:
    expected = hmac.new(b"key", b"accession:A123", hashlib.sha256).hexdigest()
    assert keyed_hash(" a123", b"key", "accession") == expected
    assert keyed_hash("A123", b"key", "study id") != expected
