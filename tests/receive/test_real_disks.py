"""A disk that is full, one that fails under the listener, one that loses power: real ones, where the tests may mount."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bench.dicom_sender import CT_IMAGE, EXPLICIT_LITTLE, VERIFICATION, Sender, data_set
from dose_audit.receive.errors import SpoolError
from dose_audit.receive.spool import Spool
from tests.disks import command
from tests.receive.leftovers import unfinished

CONTEXTS = [(1, CT_IMAGE, (EXPLICIT_LITTLE,)), (3, VERIFICATION, (EXPLICIT_LITTLE,))]
REFUSED = 0xA700


@pytest.fixture
def ext4_image(tmp_path: Path) -> Path:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a disk image")
    program = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("mkfs.ext4 is not installed")
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(48_000_000)
    command(program, "-q", image)
    return image


def image(number: int, size: int = 300_000) -> bytes:
    return data_set(CT_IMAGE, f"1.2.{number}", size, fill=bytes((number % 251,)))


def check(folder: Path, acknowledged: set[int], size: int = 300_000) -> None:
    """Every acknowledged object is there byte for byte, none twice, and nothing else lies about."""
    with Spool(folder, min_free_bytes=0) as spool:
        spool.recover()
        items = {item.sop_instance_uid: item for item in spool.claim(10_000, worker="check")}
        assert {f"1.2.{number}" for number in acknowledged} <= items.keys()
        for number in acknowledged:
            assert items[f"1.2.{number}"].path.read_bytes().endswith(image(number, size))
        assert len(list((folder / "objects").rglob("*.dcm"))) == len(items) == spool.counts()["in_work"]
        assert unfinished(folder) == []


def test_a_disk_that_is_really_full(mount, own_process) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=24m", "tmpfs")
    (disk / "ballast").write_bytes(bytes(2_000_000))
    process = own_process(disk / "spool")
    acknowledged: set[int] = set()
    with Sender(process.address, CONTEXTS) as sender:
        for number in range(100):
            status = sender.store(CT_IMAGE, f"1.2.{number}", image(number))
            assert status in (0, REFUSED)
            if status == REFUSED:
                break
            acknowledged.add(number)
        assert status == REFUSED and len(acknowledged) > 10
        assert unfinished(disk / "spool") == []
        assert sender.echo(3) == 0
        (disk / "ballast").unlink()
        assert sender.store(CT_IMAGE, f"1.2.{number}", image(number)) == 0  # the sender tries again
        acknowledged.add(number)
    process.ask_to_stop()
    assert process.wait() == 0
    check(disk / "spool", acknowledged)


def test_a_spool_that_is_really_read_only(mount, own_process) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=24m", "tmpfs")
    process = own_process(disk / "spool")
    with Sender(process.address, CONTEXTS) as sender:
        assert sender.store(CT_IMAGE, "1.2.0", image(0)) == 0
        for part in ("part", "objects"):
            # Turned read-only where nobody writes, then laid over the folder: a mount with a file open to write is busy.
            calm = mount("--bind", disk / "spool" / part)
            command("mount", "-o", "remount,bind,ro", calm)
            place = mount("--bind", calm, on=disk / "spool" / part)
            assert os.statvfs(place).f_flag & os.ST_RDONLY
            assert sender.store(CT_IMAGE, "1.2.1", image(1)) == REFUSED
            assert sender.echo(3) == 0
            command("umount", place)
        assert sender.store(CT_IMAGE, "1.2.1", image(1)) == 0
    process.ask_to_stop()
    assert process.wait() == 0
    check(disk / "spool", {0, 1})
    command("mount", "-o", "remount,ro", disk)
    with pytest.raises(SpoolError):
        Spool(disk / "elsewhere")


def test_a_disk_that_fails_and_loses_what_was_not_flushed(mount, own_process, ext4_image: Path) -> None:
    """The file system drops its open journal, as in a power cut, and turns read-only under the listener."""
    disk = mount("-o", "loop", ext4_image)
    process = own_process(disk / "spool")
    acknowledged: set[int] = set()
    with Sender(process.address, CONTEXTS) as sender:
        for number in range(40):
            assert sender.store(CT_IMAGE, f"1.2.{number}", image(number, 200_000)) == 0
            acknowledged.add(number)
        command("mount", "-o", "remount,abort", disk)
        assert sender.store(CT_IMAGE, "1.2.99", image(99, 200_000)) == REFUSED
        assert sender.echo(3) == 0
    process.kill()
    command("umount", disk)
    mount("-o", "loop", ext4_image, on=disk)
    undone = unfinished(disk / "spool")
    check(disk / "spool", acknowledged, 200_000)
    print(f"{len(undone)} renames were lost with the journal and made up for")
