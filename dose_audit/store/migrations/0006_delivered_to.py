"""Which addresses a digest reached."""

from django.db import migrations

from dose_audit.store.models.fields import CleanJSONField


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0005_signatures"),
    ]

    operations = [
        # Null where nobody wrote them down: deliveries of an earlier version.
        migrations.AddField(model_name="delivery", name="delivered_to", field=CleanJSONField(null=True)),
    ]
