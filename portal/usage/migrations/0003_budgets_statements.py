import django.db.models.deletion
import portal.lib.clock
import portal.lib.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_keys_secrets_shares'),
        ('usage', '0002_guards'),
    ]

    operations = [
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('team', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='budget', serialize=False, to='accounts.team')),
                ('amount', models.DecimalField(decimal_places=2, max_digits=14)),
                ('policy', models.CharField(choices=[('notify', 'Tell its leads and administrators'), ('block_new', 'Tell them, and hold back what is new once it is spent')], default='notify', max_length=10)),
                ('told_level', models.PositiveSmallIntegerField(default=0)),
                ('told_month', models.DateField(null=True)),
                ('checked_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='budget_is_positive')],
            },
        ),
        migrations.CreateModel(
            name='WeekTold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('until', models.DateField()),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='weeks_told', to='accounts.team')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('team', 'until'), name='week_told_once')],
            },
        ),
        migrations.CreateModel(
            name='Statement',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('month', models.DateField()),
                ('currency', models.CharField(max_length=3)),
                ('made_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('spent', models.DecimalField(decimal_places=10, max_digits=40)),
                ('total', models.DecimalField(decimal_places=2, max_digits=30)),
                ('unsure', models.PositiveIntegerField(default=0)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='accounts.team')),
            ],
            options={
                'ordering': ['-month', 'team__slug', 'currency'],
                'constraints': [models.UniqueConstraint(fields=('team', 'month', 'currency'), name='statement_once'), models.CheckConstraint(condition=models.Q(('month__day', 1)), name='statement_of_a_month')],
            },
        ),
        migrations.CreateModel(
            name='StatementItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField()),
                ('seconds', models.IntegerField()),
                ('interval', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='usage.usageinterval')),
                ('statement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='usage.statement')),
            ],
            options={
                'ordering': ['pk'],
                'constraints': [models.UniqueConstraint(fields=('statement', 'interval', 'month'), name='statement_item_once'), models.CheckConstraint(condition=models.Q(('seconds', 0), _negated=True), name='statement_item_says_something')],
            },
        ),
        migrations.AddField(
            model_name='usageinterval',
            name='gpu_class',
            field=models.CharField(blank=True, default='', max_length=40),
        ),
        migrations.AlterField(
            model_name='price',
            name='valid_from',
            field=models.DateTimeField(),
        ),
        migrations.AddIndex(
            model_name='usageinterval',
            index=models.Index(fields=['ended_at'], name='usage_by_end'),
        ),
        migrations.AddIndex(
            model_name='usageinterval',
            index=models.Index(fields=['team', 'started_at'], name='usage_by_team'),
        ),
    ]
