"""Anatomical structure and radiopharmaceutical of an event as columns, so that the exam mapping can ask for them."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

from dose_audit.extract.codes import Code
from dose_audit.store.models.fields import CleanTextField
from dose_audit.store.rows import code_text

_NAMES = ("anatomical_structure", "radiopharmaceutical")
_AT_ONCE = 2000


def _fill(apps: Any, schema_editor: Any) -> None:
    """Events that were stored before have them in ``rest``."""
    events = apps.get_model("store", "Event").objects
    told = models.Q()
    for name in _NAMES:
        told |= models.Q(**{f"rest__{name}__isnull": False})
    changed = []
    for event in events.filter(told).only("rest", *_NAMES).iterator(_AT_ONCE):
        for name in _NAMES:
            code = event.rest.get(name)
            if code:
                setattr(event, name, code_text(Code(code["value"], code["scheme"], code.get("meaning") or "")))
        changed.append(event)
        if len(changed) == _AT_ONCE:
            events.bulk_update(changed, _NAMES)
            changed.clear()
    events.bulk_update(changed, _NAMES)


class Migration(migrations.Migration):
    dependencies = [("store", "0007_baselines_of_measured_anew")]

    operations = [
        migrations.AddField("event", "anatomical_structure", CleanTextField(null=True)),
        migrations.AddField("event", "radiopharmaceutical", CleanTextField(null=True)),
        migrations.RunPython(_fill, migrations.RunPython.noop),
    ]
