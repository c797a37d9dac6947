from django.db import migrations, models


class Migration(migrations.Migration):
    """A column whose constant default rewrites no table: the release before writes no
    browser.
    """

    dependencies = [('password_reset', '0011_brand_indexes')]

    operations = [
        migrations.AddField(
            model_name='usersession',
            name='user_agent',
            field=models.CharField(blank=True, db_default='', default='', max_length=512, verbose_name='user agent'),
        ),
    ]
