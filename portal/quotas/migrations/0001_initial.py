import datetime
from decimal import Decimal
import django.db.models.deletion
import django.db.models.expressions
import portal.lib.clock
import portal.lib.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0002_keys_secrets_shares'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GpuClass',
            fields=[
                ('slug', models.SlugField(max_length=40, primary_key=True, serialize=False)),
                ('memory_gib', models.DecimalField(decimal_places=2, max_digits=8)),
                ('products', models.JSONField(default=list)),
                ('each_person', models.PositiveSmallIntegerField(null=True)),
                ('each_team', models.PositiveSmallIntegerField(null=True)),
                ('team_lends', models.PositiveSmallIntegerField(default=0)),
                ('team_borrows', models.PositiveSmallIntegerField(default=0)),
                ('reclaim_after_minutes', models.PositiveIntegerField(null=True)),
                ('two_approvers_from', models.PositiveSmallIntegerField(null=True)),
                ('idle_minutes', models.PositiveIntegerField(null=True)),
                ('grace_hours', models.PositiveIntegerField(null=True)),
                ('when_idle', models.CharField(choices=[('warn', 'Its owner is told'), ('stop', 'Its owner is told, and it is stopped after that')], default='warn', max_length=10)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('retired', models.BooleanField(default=False)),
            ],
            options={
                'ordering': ['position', 'slug'],
                'constraints': [models.CheckConstraint(condition=models.Q(('memory_gib__gt', 0)), name='gpu_class_is_positive'), models.CheckConstraint(condition=models.Q(models.Q(('team_borrows', 0), ('team_lends', 0)), models.Q(('each_team__isnull', False), ('team_borrows__gte', 0), ('team_lends__gte', 0)), _connector='OR'), name='gpu_class_lends_of_a_limit')],
            },
        ),
        migrations.CreateModel(
            name='QuotaRequest',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('personal', models.BooleanField()),
                ('count', models.PositiveSmallIntegerField()),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('justification', models.TextField()),
                ('state', models.CharField(choices=[('submitted', 'Waits for an answer'), ('needs_info', 'Asked back'), ('approved_once', 'Waits for a second approval'), ('approved', 'Approved'), ('partly_approved', 'Partly approved'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn'), ('expired', 'Not answered in time')], default='submitted', max_length=15)),
                ('version', models.PositiveIntegerField(default=1)),
                ('question', models.TextField(blank=True, default='')),
                ('note', models.TextField(blank=True, default='')),
                ('first_at', models.DateTimeField(null=True)),
                ('first_count', models.PositiveSmallIntegerField(null=True)),
                ('first_until', models.DateTimeField(null=True)),
                ('first_note', models.TextField(blank=True, default='')),
                ('decided_at', models.DateTimeField(null=True)),
                ('rule', models.CharField(blank=True, default='', max_length=40)),
                ('shadow_rule', models.CharField(blank=True, default='', max_length=40)),
                ('verdicts', models.JSONField(default=list)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('decided_for', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('first_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('first_for', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('gpu_class', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='quotas.gpuclass')),
                ('requester', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='quota_requests', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='quota_requests', to='accounts.team')),
            ],
            options={
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['state', 'created_at'], name='request_by_state'), models.Index(fields=['requester', '-created_at'], name='request_of_requester')],
                'constraints': [models.CheckConstraint(condition=models.Q(('count__gt', 0)), name='request_asks_for_something'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='request_ends_after_start'), models.CheckConstraint(condition=models.Q(models.Q(('decided_by', models.F('requester')), _negated=True), models.Q(('decided_for', models.F('requester')), _negated=True)), name='request_is_decided_by_another'), models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('rule', ''), ('state__in', ['approved', 'denied', 'partly_approved'])), models.Q(('decided_at__isnull', False), ('decided_by', None), ('state', 'approved'), models.Q(('rule', ''), _negated=True)), models.Q(models.Q(('state__in', ['approved', 'denied', 'partly_approved']), _negated=True), ('rule', '')), _connector='OR'), name='request_decided_by_somebody_or_a_rule'), models.CheckConstraint(condition=models.Q(models.Q(('first_by', models.F('requester')), _negated=True), models.Q(('first_by', models.F('decided_by')), _negated=True), models.Q(('first_by', models.F('decided_for')), _negated=True), models.Q(('first_for', models.F('requester')), _negated=True), models.Q(('first_for', models.F('decided_by')), _negated=True), models.Q(('first_for', models.F('decided_for')), _negated=True)), name='request_has_two_approvers'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved_once'), _negated=True), models.Q(('first_by__isnull', False), ('first_count__isnull', False), ('first_until__isnull', False)), _connector='OR'), name='request_first_approval_is_whole')],
            },
        ),
        migrations.CreateModel(
            name='ResourceLimit',
            fields=[
                ('resource', models.CharField(choices=[('cpu', 'CPU'), ('memory_gib', 'Memory'), ('workspaces', 'Workspaces'), ('jobs', 'Jobs'), ('gpu_hours', 'GPU hours'), ('storage_gib', 'Storage')], max_length=20, primary_key=True, serialize=False)),
                ('each_person', models.DecimalField(decimal_places=2, max_digits=10, null=True)),
                ('each_team', models.DecimalField(decimal_places=2, max_digits=10, null=True)),
                ('team_lends', models.DecimalField(decimal_places=2, default=Decimal('0'), max_digits=10)),
                ('team_borrows', models.DecimalField(decimal_places=2, default=Decimal('0'), max_digits=10)),
                ('reclaim_after_minutes', models.PositiveIntegerField(null=True)),
                ('position', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'ordering': ['position'],
                'constraints': [models.CheckConstraint(condition=models.Q(('each_person', None), ('each_person__gte', 0), _connector='OR'), name='limit_of_a_person_not_negative'), models.CheckConstraint(condition=models.Q(('each_team', None), ('each_team__gte', 0), _connector='OR'), name='limit_of_a_team_not_negative'), models.CheckConstraint(condition=models.Q(models.Q(('team_borrows', 0), ('team_lends', 0)), models.Q(('each_team__isnull', False), ('team_borrows__gte', 0), ('team_lends__gte', 0)), _connector='OR'), name='limit_lends_of_a_limit')],
            },
        ),
        migrations.CreateModel(
            name='Delegation',
            fields=[
                ('id', models.CharField(default=portal.lib.ids.new_id, editable=False, max_length=26, primary_key=True, serialize=False)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(default=portal.lib.clock.now)),
                ('delegate', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('delegator', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='delegations', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.team')),
            ],
            options={
                'ordering': ['ends_at', 'id'],
                'indexes': [models.Index(condition=models.Q(('revoked_at', None)), fields=['delegate', 'ends_at'], name='delegation_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(('delegate', models.F('delegator')), _negated=True), name='delegation_is_to_another'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at')), ('ends_at__lte', django.db.models.expressions.CombinedExpression(models.F('starts_at'), '+', models.Value(datetime.timedelta(days=90))))), name='delegation_ends_in_time')],
            },
        ),
        migrations.CreateModel(
            name='ApprovalRule',
            fields=[
                ('name', models.SlugField(max_length=40, primary_key=True, serialize=False)),
                ('most_count', models.PositiveSmallIntegerField()),
                ('longest_hours', models.PositiveIntegerField()),
                ('budget_left', models.BooleanField(default=False)),
                ('most_active_grants', models.PositiveSmallIntegerField(null=True)),
                ('no_revocations', models.BooleanField(default=False)),
                ('mode', models.CharField(choices=[('active', 'Approves at once'), ('shadow', 'Only notes what it would do'), ('off', 'Is not asked')], max_length=10)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('gpu_class', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rules', to='quotas.gpuclass')),
            ],
            options={
                'ordering': ['position', 'name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('longest_hours__gt', 0), ('most_count__gt', 0)), name='rule_allows_something')],
            },
        ),
        migrations.CreateModel(
            name='Grant',
            fields=[
                ('request', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='grant', serialize=False, to='quotas.quotarequest')),
                ('count', models.PositiveSmallIntegerField()),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(null=True)),
                ('revoked_by', models.CharField(blank=True, default='', max_length=150)),
                ('revoked_because', models.TextField(blank=True, default='')),
                ('reminded_days', models.PositiveSmallIntegerField(null=True)),
                ('overrun_told_at', models.DateTimeField(null=True)),
                ('overrun_ended_at', models.DateTimeField(null=True)),
                ('gpu_class', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='quotas.gpuclass')),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='accounts.team')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-ends_at'],
                'indexes': [models.Index(condition=models.Q(('revoked_at', None)), fields=['ends_at'], name='grant_by_end')],
                'constraints': [models.CheckConstraint(condition=models.Q(('count__gt', 0)), name='grant_gives_something'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='grant_ends_after_start')],
            },
        ),
    ]
