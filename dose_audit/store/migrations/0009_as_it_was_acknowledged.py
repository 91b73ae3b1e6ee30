"""How grave a finding was when a person acknowledged it: what it is measured by from then on."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from dose_audit.store.models.fields import CleanJSONField


def _fill(apps: Any, schema_editor: Any) -> None:
    """Of findings that were acknowledged before, the last that was raised of them is what is known."""
    for row in apps.get_model("store", "Finding").objects.filter(state="acknowledged").iterator():
        ratio = row.evidence.get("ratio") if "drl" in row.evidence else None
        row.acknowledged_as = {"severity": row.severity, "ratio": ratio}
        row.save(update_fields=["acknowledged_as"])


class Migration(migrations.Migration):
    dependencies = [("store", "0008_codes_that_the_mapping_asks_for")]

    operations = [
        migrations.AddField("finding", "acknowledged_as", CleanJSONField(null=True)),
        migrations.RunPython(_fill, migrations.RunPython.noop),
    ]
