"""A phantom result on disk: page, annotated pictures and JSON in a folder whose name tells nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dose_audit.ingest.phantom_task import Page
from dose_audit.phantom.picture import draw
from dose_audit.phantom.results import Analysis
from dose_audit.texts import escaped

if TYPE_CHECKING:
    from dose_audit.store.models import PhantomStudy

__all__ = ["result_folder", "write_result"]


def result_folder(root: Path, study: PhantomStudy) -> Path:
    """Where the files of a stored analysis lie: by month, then by a hash of what was measured how.

    Parameters
    ----------
    root : Path
        ``Settings.phantoms_dir``.
    study : PhantomStudy
    """
    month = f"{study.acquired_at or study.stored_at:%Y-%m}"
    identity = (study.inputs_sha256, study.definition, study.definition_sha256, study.algorithm_version)
    return root / month / hashlib.sha256("\n".join(identity).encode()).hexdigest()[:20]


def write_result(folder: Path, analysis: Analysis, page: Page | None = None) -> None:
    """Write one analysis whole or not at all; what lies there already is replaced.

    Parameters
    ----------
    folder : Path
        As `result_folder` says.
    analysis : Analysis
        With its pixels at hand.
    page : callable, optional
        Without it there are pictures and JSON only.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    pictures = draw(analysis)
    record = analysis.as_record()  # after the pictures: the notes name those that could not be drawn
    made = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        text = escaped(json.dumps(record, indent=1, ensure_ascii=False))
        (made / "result.json").write_text(text, encoding="utf-8")
        for picture in pictures:
            (made / f"{picture.name}.png").write_bytes(picture.png)
        if page is not None:
            modules = {module.id: module.name for module in analysis.definition.modules}
            (made / "result.html").write_text(page(record, pictures, modules), encoding="utf-8")
        made.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(made, folder)  # noqa: PTH105
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
