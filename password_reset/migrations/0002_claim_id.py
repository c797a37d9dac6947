from django.db import migrations, models


class Migration(migrations.Migration):
    """Nullable columns without a default: no table is rewritten or locked for long."""

    dependencies = [("password_reset", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name=name,
            name="claim_id",
            field=models.UUIDField(editable=False, null=True),
        )
        for name in ("passwordresetrequest", "passwordresetnotice")
    ]
