"""The services door: a running job reaches its team's tracking server with its own token; nobody else gets anywhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from environments import actions as workspaces
from environments import serving
from environments.models import Workspace
from jobs import tracking
from jobs.models import Attempt
from portal.accounts.actions import create_token
from portal.accounts.models import Membership
from portal.compute.models import Allocation
from portal.compute.specs import secret_of
from portal.gateway import nginx
from portal.lib import clock
from tests.conftest import People
from tests.gateway.conftest import put_at
from tests.gateway.desk import Desk
from tests.gateway.door import Answer, Headers, Visitor, ask
from tests.gateway.stack import Stack

pytestmark = pytest.mark.django_db(transaction=True)
one_way = pytest.mark.parametrize("any_stack", ["origin"], indirect=True)
WORDS = b"This address answers running jobs of the team that it belongs to, and nobody else.\n"
ELSEWHERE = "0" * 26


class Team:
    """Vision's MLflow at a desk, and a running job of vera's that was given it."""

    def __init__(self, stack: Stack, server: Any, job: Any) -> None:
        self.stack, self.server = stack, server
        self.attempt = Attempt.objects.select_related("allocation").get(job=job)
        Allocation.objects.filter(pk=self.attempt.allocation_id).update(phase="running", node=server.allocation.node)
        Attempt.objects.update(tracking=server)

    @property
    def token(self) -> str:
        return tracking.token_of(self.attempt.allocation)

    def ask(
        self, path: str = "", *, token: str = "", workspace: str = "", headers: Headers = (), **more: Any
    ) -> Answer:
        """As the job, unless told otherwise."""
        bearer = [("Authorization", f"Bearer {token or self.token}")]
        place = (workspace or self.server.pk).lower()
        host = f"berth.internal:{self.stack.services_port}"
        return ask(self.stack.services_port, host, f"/w/{place}/{path}", [*bearer, *headers], **more)


@pytest.fixture
def led_by_luis(stack: Stack, make_workspace: Callable[..., Any], settings: Any) -> Callable[..., Any]:
    """An MLflow of his that is the team's, running at that address."""
    settings.SERVICES_PORT = stack.services_port

    def make(people: People, address: str) -> Any:
        made = put_at(make_workspace(people.luis, template="mlflow"), address)
        return put_at(serving.serve(made, by=people.luis), address)

    return make


@pytest.fixture
def team(stack: Stack, led_by_luis: Any, people: People, desk: Desk) -> Team:
    from jobs import actions
    from jobs.submission import Submission

    server = led_by_luis(people, desk.address)
    job = actions.submit(people.vera, Submission(template="python", command=["true"]), actor="vera")
    return Team(stack, server, job)


def refused(answer: Answer) -> bool:
    """In the same words whatever the reason."""
    return (answer.status, answer.body) == (401, WORDS)


def test_a_job_reaches_the_server_below_the_path_that_it_expects(team: Team, desk: Desk) -> None:
    answer = team.ask("api/2.0/mlflow/experiments/get?experiment_id=0&x=a%2Fb")
    assert answer.status == 200
    prefix = Visitor(0, team.server.pk).prefix
    assert answer.seen["path"] == f"{prefix}api/2.0/mlflow/experiments/get?experiment_id=0&x=a%2Fb"
    assert answer.all("X-Berth-Secret") == [secret_of(team.server.allocation)]
    assert team.token not in str(desk.seen)


def test_artifacts_of_any_size_pass(team: Team, desk: Desk) -> None:
    piece, count = b"x" * (1 << 20), 24
    answer = team.ask("api/2.0/mlflow-artifacts/artifacts/a", method="PUT", body=[piece] * count, length=count << 20)
    assert (answer.status, desk.received) == (200, count << 20)


@one_way
def test_logging_counts_as_use(team: Team) -> None:
    long_ago = clock.now() - timedelta(hours=5)
    Workspace.objects.update(last_activity_at=long_ago)
    assert team.ask("api/2.0/mlflow/runs/log-metric", method="POST", length=0).status == 200
    assert Workspace.objects.get(pk=team.server.pk).last_activity_at > long_ago + timedelta(hours=4)  # type: ignore[operator]


def test_what_a_client_says_of_itself_changes_nothing(team: Team, desk: Desk, other_desk: Desk) -> None:
    spoofed = {
        "X-Upstream": other_desk.address,
        "X-Berth-Upstream": other_desk.address,
        "X-Berth-Authorization": "token mine",
        "X-Berth-Secret": "mine",
        "X-Berth-Session": "session:x",
        "X-Berth-Workspace": ELSEWHERE,
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example",
        "Cookie": "a=1",
        "Upgrade": "websocket",
    }
    answer = team.ask("api", headers=spoofed.items())
    assert answer.status == 200
    assert answer.all("X-Berth-Secret") == [secret_of(team.server.allocation)]
    for name in ("X-Upstream", "X-Berth-Upstream", "X-Berth-Session", "X-Berth-Authorization", "Forwarded", "Cookie"):
        assert answer.all(name) == []
    assert "192.0.2.7" not in str(answer.seen)
    assert other_desk.seen == []
    stranger = [*spoofed.items(), ("X-Berth-Token", team.token)]
    assert refused(ask(team.stack.services_port, "berth.internal", f"/w/{team.server.pk.lower()}/", stranger))


def test_nobody_else_is_let_in_or_told_more(
    team: Team, desk: Desk, let_in: Callable[..., Visitor], people: People
) -> None:
    cookie = let_in(team.server).cookie
    own = create_token(people.luis, "cli", ["workspaces:write"], 1, actor="test").secret
    port, path = team.stack.services_port, f"/w/{team.server.pk.lower()}/api"
    wrong = team.token[:-1] + ("0" if team.token[-1] != "0" else "1")
    for headers in (
        [],
        cookie,
        [("Authorization", f"Bearer {own}")],
        [("Authorization", f"Bearer {wrong}")],
        [("Authorization", f"Basic {team.token}")],
        [("Authorization", f"Bearer berth_job_{ELSEWHERE}_{'0' * 64}")],
        [("Cookie", f"token={team.token}")],
    ):
        assert refused(ask(port, "berth.internal", path, headers)), headers
    for elsewhere in ("/", "/gateway/job", "/gateway/auth", "/.berth/auth", "/w/", "/sign-in/", "/api/v1/me/"):
        assert refused(ask(port, "berth.internal", elsewhere, [("Authorization", f"Bearer {team.token}")])), elsewhere
    assert refused(team.ask(".berth/ready"))
    assert refused(team.ask(token=team.token, workspace=ELSEWHERE))
    assert desk.seen == []


def test_its_token_opens_nothing_but_this_door(team: Team, desk: Desk, run_at: Any, people: People) -> None:
    bearer = [("Authorization", f"Bearer {team.token}")]
    assert Visitor(team.stack.port, team.server.pk).ask(headers=bearer).status == 403
    mine = run_at(desk, people.vera)
    assert Visitor(team.stack.port, mine.pk).ask(headers=bearer).status == 403
    assert Client().get("/api/v1/me/", headers={"authorization": f"Bearer {team.token}"}).status_code == 401
    assert refused(team.ask(workspace=mine.pk))
    assert desk.seen == []


def _end(team: Team) -> None:
    ended = {"phase": "ended", "desired": "end", "ended_at": clock.now(), "next_look_at": None}
    Allocation.objects.filter(pk=team.attempt.allocation_id).update(**ended)


def _wait(team: Team) -> None:
    Allocation.objects.filter(pk=team.attempt.allocation_id).update(phase="pulling")


def _again(team: Team) -> None:
    Allocation.objects.filter(pk=team.attempt.allocation_id).update(generation=2)


def _take_back(team: Team) -> None:
    serving.take_back(team.server, actor="luis")


def _not_given(team: Team) -> None:
    Attempt.objects.update(tracking=None)


def _leave(team: Team) -> None:
    Membership.objects.filter(user__username="vera").delete()


def _owner_leaves(team: Team) -> None:
    Membership.objects.filter(user__username="luis").delete()


def _suspend_person(team: Team) -> None:
    team.attempt.allocation.user.is_active = False
    team.attempt.allocation.user.save(update_fields=["is_active"])


def _delete(team: Team) -> None:
    workspaces.delete(team.server, delete_files=False, actor="luis")


@one_way
@pytest.mark.parametrize(
    "ending", [_end, _wait, _again, _take_back, _not_given, _leave, _owner_leaves, _suspend_person, _delete]
)
def test_the_token_ends_with_what_it_was_given_for(team: Team, desk: Desk, ending: Callable[[Team], None]) -> None:
    ending(team)
    assert refused(team.ask("api"))
    assert desk.seen == []


@one_way
def test_a_job_that_is_asked_to_end_may_log_its_last_numbers(team: Team) -> None:
    Allocation.objects.filter(pk=team.attempt.allocation_id).update(phase="stopping", desired="end")
    assert team.ask("api").status == 200


@one_way
def test_of_another_team_not_even_a_job_that_names_the_server_gets_there(
    team: Team, desk: Desk, people: People
) -> None:
    from jobs import actions
    from jobs.submission import Submission

    job = actions.submit(people.oda, Submission(template="python", command=["true"]), actor="oda")
    theirs = Attempt.objects.select_related("allocation").get(job=job)
    Allocation.objects.filter(pk=theirs.allocation_id).update(phase="running", node=team.server.allocation.node)
    assert refused(team.ask("api", token=tracking.token_of(theirs.allocation)))
    Attempt.objects.filter(pk=theirs.pk).update(tracking=team.server)
    assert refused(team.ask("api", token=tracking.token_of(theirs.allocation)))
    assert desk.seen == []


@one_way
def test_a_server_that_does_not_run_is_told_to_its_jobs_alone(team: Team, desk: Desk) -> None:
    workspaces.stop(team.server, actor="luis")
    answer = team.ask("api")
    assert (answer.status, answer.body) == (503, b"The tracking server of your team does not run now.\n")
    assert refused(ask(team.stack.services_port, "berth.internal", f"/w/{team.server.pk.lower()}/api"))
    assert desk.seen == []


@one_way
def test_a_silent_server_is_told_in_words(team: Team) -> None:
    Allocation.objects.filter(pk=team.server.allocation_id).update(address="127.0.0.1:1")
    answer = team.ask("api")
    assert (answer.status, b"does not answer" in answer.body) == (503, True)


@one_way
def test_a_server_never_leads_nginx_elsewhere(team: Team, desk: Desk, other_desk: Desk) -> None:
    for path in ("../../w/x/", "%2e%2e/", "/evil.example/", "@evil.example/", f"x/../../{ELSEWHERE}/"):
        answer = team.ask(path)
        assert answer.status in (200, 400, 401), path
        assert answer.headers["Location"] is None
    for target in ("/.berth/auth", "@silent"):
        answer = team.ask(headers=[("X-Answer-With", f'{{"X-Accel-Redirect": "{target}", "Set-Cookie": "a=1"}}')])
        assert (answer.status, answer.headers["X-Berth-Secret"], answer.headers["Set-Cookie"]) == (200, None, None)


def test_members_come_to_its_pages_but_not_inside(
    team: Team, desk: Desk, bo: Any, let_in: Any, portal_session: Any, settings: Any
) -> None:
    from environments import addresses
    from environments.access import Right, rights_on
    from portal.gateway.actions import open_workspace
    from portal.lib.errors import Forbidden
    from tests.gateway.door import enter

    if addresses.path_mode():
        assert not rights_on(bo, team.server)
        with pytest.raises(Forbidden):
            open_workspace(team.server, bo, portal_session(bo).session_key)
        return
    assert rights_on(bo, team.server) == Right.VISIT
    _, visitor = enter(team.stack.port, open_workspace(team.server, bo, portal_session(bo).session_key).url)
    assert visitor.ask().status == 200
    serving.take_back(team.server, actor="luis")
    assert visitor.ask(headers=[("Accept", "text/html")]).status == 403


@pytest.mark.parametrize(("runtime", "listens"), [("docker", "listen 9999;"), ("local", "listen 127.0.0.1:9999;")])
def test_it_listens_for_containers_only(tmp_path: Any, settings: Any, runtime: str, listens: str) -> None:
    settings.RUNTIME, settings.SERVICES_PORT = runtime, 9999
    rendered = nginx.render(tmp_path, "", None)
    assert listens in rendered
    assert "allow 10.201.0.0/16;\n" in rendered
    assert ("allow 127.0.0.0/8;" in rendered) == (runtime == "local")
    settings.SERVICES_PORT = 0
    assert "/gateway/job" not in nginx.render(tmp_path, "", None)
