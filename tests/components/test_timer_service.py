"""The pipelines service as a user meets it: its program in a process of its own, over HTTP."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from components.programs import program_files
from terrace.errors import OperationError
from terrace.pipelines import Bundle, PipelineClient, PipelinesError, Run, StepRun, make_bundle

PASSWORD = "account-pa55word"
SECRET = "s3cret-of-the-store"
STARTS_WITHIN_SECONDS = 30


class Server:
    """The service on a free port, with a data folder that outlives it."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        self.program = root / "program"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = PipelineClient(self.url, "pipelines", PASSWORD)
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str] = {}
        for file in program_files("pipelines", "timer"):
            path = self.program / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(file.content))

    def start(self) -> None:
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(self.program),
            "TIMER_PORT": str(self.port),
            "TIMER_DATA": str(self.data),
            "TIMER_USER": "pipelines",
            "TIMER_PASSWORD": PASSWORD,
            "TIMER_PROJECT_VARIABLES": "STORE_URL,STORE_PASSWORD",
            "STORE_URL": "http://store.example",
            "STORE_PASSWORD": SECRET,
            **self.settings,
        }
        with (self.data.parent / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "timer"], env=environment, cwd="/", stdout=log, stderr=log
            )
        wait_for(self._answers, STARTS_WITHIN_SECONDS)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.data.parent / "service.log").read_text()
        try:
            return self.get("/health") == b'{"status":"ok"}'
        except urllib.error.URLError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process = None
        return code

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return bytes(answer.read())

    def metric(self, line: str) -> float:
        """Return the value of the metric whose name and labels are ``line``."""
        page = self.get("/metrics").decode()
        return next(float(each.rsplit(" ", 1)[1]) for each in page.splitlines() if each.rsplit(" ", 1)[0] == line)

    def log(self, run: Run, step: str | None) -> str:
        return self.client.log(run.id, step).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} is still not so after {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for the tests that leave it running."""
    server = Server(tmp_path_factory.mktemp("timer"))
    server.start()
    yield server
    assert server.end() == -signal.SIGTERM, "uvicorn ends by the signal that it was asked with, after its shutdown"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A service of the test's own, to be killed or set up otherwise."""
    server = Server(tmp_path)
    yield server
    if server.process:
        server.end()


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def project(folder: Path, name: str, *steps: dict[str, object], **options: object) -> Bundle:
    folder.mkdir(exist_ok=True)
    # JSON is YAML.
    (folder / "pipeline.yaml").write_text(json.dumps({"name": name, "steps": steps, **options}))
    return make_bundle(folder)


def run_once(server: Server, folder: Path, name: str, *steps: dict[str, object], **options: object) -> Run:
    server.client.put(name, project(folder, name, *steps, **options))
    return server.client.wait(server.client.start(name).id, poll_seconds=0.05)


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> Bundle:
    packed = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=packed) as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return Bundle(packed.getvalue(), "", "c0ffee")


def members(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Bundle:
    """Return a bundle with a good pipeline and one more member."""
    definition = json.dumps({"name": "evil", "steps": [{"name": "a", "command": ["true"]}]}).encode()
    extra = tarfile.TarInfo(name)
    extra.type, extra.linkname = kind, link
    return archive((tarfile.TarInfo("pipeline.yaml"), definition), (extra, b"x"))


def test_steps_run_in_order_in_the_bundle_with_the_declared_variables(shared: Server, tmp_path: Path) -> None:
    show = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"
    bundle = project(
        tmp_path / "p",
        "order",
        {"name": "first", "command": python("import os; open(os.environ['PIPELINE_RUN_DIR'] + '/note', 'w')")},
        {"name": "second", "command": python("import os; os.stat(os.environ['PIPELINE_RUN_DIR'] + '/note')")},
        {"name": "show", "command": python(show)},
    )
    assert shared.client.put("order", bundle)
    seen: list[tuple[str, str]] = []
    logs: list[tuple[str | None, str]] = []

    run = shared.client.wait(
        shared.client.start("order").id,
        on_step=lambda step: seen.append((step.name, step.state)),
        on_log=lambda step, text: logs.append((step, text)),
        poll_seconds=0.02,
    )

    assert run.state == "succeeded"
    assert [each for each in seen if each[1] == "succeeded"] == [
        ("first", "succeeded"),
        ("second", "succeeded"),
        ("show", "succeeded"),
    ]
    assert [(step.attempts, step.exit_code) for step in run.steps] == [(1, 0)] * 3
    folder, variables = json.loads("".join(text for step, text in logs if step == "show"))
    assert folder == str(shared.data / "bundles" / bundle.digest)
    assert variables.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
    assert set(variables) == {
        "HOME", "LANG", "PATH", "PIPELINE_COMMIT", "PIPELINE_NAME", "PIPELINE_RUN_DIR", "PIPELINE_RUN_ID",
        "PYTHONUNBUFFERED", "STORE_PASSWORD", "STORE_URL",
    }  # fmt: skip
    assert variables["STORE_URL"] == "http://store.example"
    assert variables["STORE_PASSWORD"] == "***"
    assert (variables["PIPELINE_NAME"], variables["PIPELINE_RUN_ID"]) == ("order", run.id)
    assert variables["PIPELINE_COMMIT"] == bundle.commit == "unversioned"


def test_the_same_bundle_again_changes_nothing(shared: Server, tmp_path: Path) -> None:
    bundle = project(tmp_path / "p", "same", {"name": "a", "command": ["true"]})
    assert shared.client.put("same", bundle) is True
    assert shared.client.put("same", bundle) is False
    other = project(tmp_path / "p", "same", {"name": "a", "command": ["false"]})
    assert shared.client.put("same", other) is True
    assert not (shared.data / "bundles" / bundle.digest).exists(), "the old bundle is still there"
    assert list((shared.data / "bundles" / "incoming").iterdir()) == []


def test_a_step_is_retried_and_its_attempts_are_counted(shared: Server, tmp_path: Path) -> None:
    source = (
        "import os, pathlib, sys; mark = pathlib.Path(os.environ['PIPELINE_RUN_DIR'], 'mark');"
        "done = mark.exists(); mark.touch(); print('again' if done else 'first'); sys.exit(0 if done else 3)"
    )
    run = run_once(shared, tmp_path / "p", "retry", {"name": "a", "command": python(source), "retries": 2})
    assert run.state == "succeeded"
    assert (run.steps[0].attempts, run.steps[0].exit_code) == (2, 0)
    assert shared.log(run, "a") == "first\n[timer] ended with exit code 3\nagain\n"
    assert shared.metric('terrace_pipeline_step_attempts_total{pipeline="retry",step="a"}') == 2


def test_a_failing_step_ends_the_run(shared: Server, tmp_path: Path) -> None:
    run = run_once(
        shared,
        tmp_path / "p",
        "fails",
        {"name": "a", "command": python("import sys; print('no such table'); sys.exit(7)")},
        {"name": "b", "command": ["true"]},
    )
    assert (run.state, run.error) == ("failed", "Step a ended with exit code 7")
    assert [(step.state, step.exit_code) for step in run.steps] == [("failed", 7), ("skipped", None)]
    assert shared.metric('terrace_pipeline_last_run_succeeded{pipeline="fails"}') == 0
    assert shared.metric('terrace_pipeline_run_total{pipeline="fails",state="failed"}') == 1
    with pytest.raises(OperationError, match="no such table"):
        shared.client.check(run)


def test_a_program_that_is_not_there_fails_like_in_a_shell(shared: Server, tmp_path: Path) -> None:
    run = run_once(shared, tmp_path / "p", "absent", {"name": "a", "command": ["no-such-program"]})
    assert (run.state, run.steps[0].exit_code) == ("failed", 127)
    assert "no-such-program can't be run: No such file or directory" in shared.log(run, "a")


def test_a_timeout_ends_all_processes_of_the_step(shared: Server, tmp_path: Path) -> None:
    # The child ignores SIGTERM and leaves the group: neither may save it.
    child = (
        "import os, signal, time; os.setsid(); signal.signal(15, signal.SIG_IGN); print(os.getpid()); time.sleep(99)"
    )
    source = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    run = run_once(shared, tmp_path / "p", "slow", {"name": "a", "command": python(source), "timeout": 1})
    assert (run.state, run.error) == ("failed", "Step a took longer than 1 s and was ended")
    assert run.steps[0].exit_code == 128 + signal.SIGTERM
    pid = int(shared.log(run, "a").split()[0])
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_the_runs_own_timeout_holds_over_retries(shared: Server, tmp_path: Path) -> None:
    step = {"name": "a", "command": python("import time; time.sleep(99)"), "retries": 5}
    run = run_once(shared, tmp_path / "p", "whole", step, timeout=1)
    assert (run.state, run.error) == ("failed", "The run took longer than 1 s")
    assert run.steps[0].attempts == 1


def test_cancel_stops_the_step_gently(shared: Server, tmp_path: Path) -> None:
    source = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(print('bye'))); print('on'); time.sleep(99)"
    )
    shared.client.put("cancel", project(tmp_path / "p", "cancel", {"name": "a", "command": python(source)}))
    run = shared.client.start("cancel")
    wait_for(lambda: shared.log(run, "a").startswith("on"))
    assert shared.metric('terrace_pipeline_running{pipeline="cancel"}') == 1
    with pytest.raises(PipelinesError, match="is running") as second:
        shared.client.start("cancel")
    assert second.value.status == 409
    with pytest.raises(PipelinesError, match="is running"):
        shared.client.delete("cancel")

    shared.client.cancel(run.id)
    run = shared.client.wait(run.id, poll_seconds=0.05)

    assert (run.state, run.steps[0].state) == ("cancelled", "cancelled")
    assert shared.log(run, "a").startswith("on\nbye\n")
    with pytest.raises(PipelinesError, match="has ended already"):
        shared.client.cancel(run.id)


def test_secrets_are_masked_even_when_printed_in_pieces(shared: Server, tmp_path: Path) -> None:
    source = (
        "import os, time; w = os.environ['STORE_PASSWORD'];"
        "print(w[:5], end='', flush=True); time.sleep(.3); print(w[5:], 'x')"
    )
    run = run_once(shared, tmp_path / "p", "mask", {"name": "a", "command": python(source)})
    assert shared.log(run, "a") == "*** x\n"
    for path in (shared.data / "runs" / run.id).rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_delete_removes_the_pipeline_its_runs_and_its_bundle(shared: Server, tmp_path: Path) -> None:
    run = run_once(shared, tmp_path / "p", "gone", {"name": "a", "command": ["true"]})
    shared.client.delete("gone")
    assert shared.client.runs("gone") == []
    assert "gone" not in {each.name for each in shared.client.pipelines()}
    assert not (shared.data / "bundles" / run.digest).exists()
    assert not (shared.data / "runs" / run.id).exists()
    with pytest.raises(PipelinesError, match="There is no pipeline 'gone'"):
        shared.client.start("gone")


@pytest.mark.parametrize("path", ["/api/pipelines", "/api/runs", "/nowhere"])
def test_without_the_account_nothing_is_told(shared: Server, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        shared.get(path)
    with refused.value as error:
        assert error.code == 401
        assert error.headers["WWW-Authenticate"].startswith("Basic ")
        assert json.loads(error.read())["error"]["what"] == "An account is needed"


@pytest.mark.parametrize(("user", "password"), [("pipelines", "wrong"), ("other", PASSWORD), ("", "")])
def test_a_wrong_account_is_refused(shared: Server, user: str, password: str) -> None:
    with pytest.raises(PipelinesError) as refused:
        PipelineClient(shared.url, user, password).pipelines()
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("bundle", "what"),
    [
        (members("../outside"), "lies outside"),
        (members("/tmp/outside"), "lies outside"),
        (members("a/../../outside"), "lies outside"),
        (members("link", tarfile.SYMTYPE, "/etc/passwd"), "neither a file nor a folder"),
        (members("link", tarfile.LNKTYPE, "pipeline.yaml"), "neither a file nor a folder"),
        (members("fifo", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (members("pipeline.yaml"), "can't be unpacked"),
        (archive((tarfile.TarInfo("readme"), b"x")), "no pipeline.yaml"),
        (Bundle(b"not an archive", "", "c0ffee"), "can't be unpacked"),
        (replace(members("x"), content=members("x").content[:60]), "can't be unpacked"),
        (replace(members("x"), commit="a b"), "not a commit"),
        (members("x"), "is called 'evil', not 'good'"),
    ],
)
def test_a_bundle_that_is_not_what_it_should_be_is_refused(shared: Server, bundle: Bundle, what: str) -> None:
    with pytest.raises(PipelinesError, match=what):
        shared.client.put("good", bundle)
    assert list((shared.data / "bundles" / "incoming").iterdir()) == []
    assert "good" not in {each.name for each in shared.client.pipelines()}


def test_a_wrong_definition_is_refused_with_its_place(shared: Server) -> None:
    bundle = archive((tarfile.TarInfo("pipeline.yaml"), b"name: bad\nstep: []\n"))
    with pytest.raises(
        PipelinesError, match=r"pipeline.yaml:2:1: step: there is no such key \(did you mean 'steps'\?\)"
    ):
        shared.client.put("bad", bundle)


def test_a_bundle_too_large_is_refused(server: Server, tmp_path: Path) -> None:
    server.settings = {"TIMER_BUNDLE_MB": "1"}
    server.start()
    with pytest.raises(PipelinesError, match="larger than 1 MiB") as refused:
        server.client.put("big", Bundle(os.urandom(1024 * 1024 + 1), "", "c0ffee"))
    assert refused.value.status == 413
    packed = archive((tarfile.TarInfo("zeros"), bytes(9 * 1024 * 1024)))
    with pytest.raises(PipelinesError, match="too large once unpacked"):
        server.client.put("big", packed)


def test_a_pipeline_without_a_required_step_is_refused(server: Server, tmp_path: Path) -> None:
    server.settings = {"TIMER_REQUIRED_STEPS": "validate"}
    server.start()
    with pytest.raises(PipelinesError, match="lacks the step 'validate'"):
        server.client.put("p", project(tmp_path / "p", "p", {"name": "train", "command": ["true"]}))


def test_the_environment_of_a_lock_is_made_once_per_bundle(server: Server, tmp_path: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv is needed: run the tests with `uv run pytest`"
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\n')
    subprocess.run([uv, "lock", "--offline", "-q"], cwd=folder, check=True)
    show = "import pathlib, sys; print(sys.prefix); assert pathlib.Path(sys.prefix, '.terrace-ready').exists()"
    step = {"name": "a", "command": ["uv", "run", "--frozen", "--no-sync", "python", "-c", show]}
    server.settings = {"TIMER_UV": uv}
    server.start()

    first = run_once(server, folder, "p", step)
    second = server.client.wait(server.client.start("p").id)

    server.client.check(first)
    server.client.check(second)
    assert server.log(first, "a").splitlines()[-1] == str(server.data / "bundles" / first.digest / ".venv")
    assert "Creating virtual environment" in server.log(first, None)
    assert server.log(second, None) == "", "the environment was made again"


def test_an_environment_that_can_not_be_made_fails_the_run(server: Server, tmp_path: Path) -> None:
    server.settings = {"TIMER_UV": shutil.which("false") or ""}
    server.start()
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "uv.lock").write_text("")
    run = run_once(server, folder, "p", {"name": "a", "command": ["true"]})
    assert (run.state, run.steps[0].state) == ("failed", "skipped")
    assert run.error == "Its environment can't be made: uv sync ended with exit code 1"


def test_only_the_last_runs_are_kept(server: Server, tmp_path: Path) -> None:
    server.settings = {"TIMER_KEEP_RUNS": "2"}
    server.start()
    runs = [run_once(server, tmp_path / "p", "p", {"name": "a", "command": ["true"]}) for _ in range(4)]
    wait_for(lambda: len(server.client.runs("p")) == 2)
    assert [run.id for run in server.client.runs("p")] == [runs[3].id, runs[2].id]
    assert {path.name for path in (server.data / "runs").iterdir()} == {runs[3].id, runs[2].id}
    assert server.metric('terrace_pipeline_run_total{pipeline="p",state="succeeded"}') == 4


def test_a_long_log_keeps_its_beginning_and_its_end(server: Server, tmp_path: Path) -> None:
    server.settings = {"TIMER_LOG_MB": "1"}
    server.start()
    source = "print('begin'); [print('x' * 99) for _ in range(30000)]; print('end')"
    run = run_once(server, tmp_path / "p", "p", {"name": "a", "command": python(source)})
    path = next((server.data / "runs" / run.id).glob("01-a.log"))
    assert 1024 * 1024 < path.stat().st_size < 1.2 * 1024 * 1024
    text = path.read_text()
    assert text.startswith("begin\n")
    assert "bytes left out" in text
    assert text.endswith("\nend\n")


def test_a_run_of_a_killed_service_is_lost_and_its_processes_end(server: Server, tmp_path: Path) -> None:
    server.start()
    source = "import os, time; print(os.getpid()); time.sleep(99)"
    steps: list[dict[str, object]] = [
        {"name": "a", "command": python(source)},
        {"name": "b", "command": ["true"]},
    ]
    server.client.put("p", project(tmp_path / "p", "p", *steps))
    run = server.client.start("p")
    wait_for(lambda: server.log(run, "a").endswith("\n"))
    pid = int(server.log(run, "a"))
    server.end(signal.SIGKILL)
    assert Path(f"/proc/{pid}").exists(), "the step should outlive a killed service until it is back"

    server.start()

    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    run = server.client.run(run.id)
    assert run.state == "lost"
    assert [step.state for step in run.steps] == ["lost", "skipped"]
    assert server.metric('terrace_pipeline_last_run_state{pipeline="p",state="lost"}') == 1
    assert server.metric('terrace_pipeline_last_run_succeeded{pipeline="p"}') == 0
    assert server.client.start("p").state == "queued", "a lost run must not keep the next from starting"


def test_sigterm_cancels_the_run_and_ends_the_service(server: Server, tmp_path: Path) -> None:
    server.start()
    step = {"name": "a", "command": python("import time; print('on'); time.sleep(99)")}
    server.client.put("p", project(tmp_path / "p", "p", step))
    run = server.client.start("p")
    wait_for(lambda: server.log(run, "a") == "on\n")
    server.end()
    server.start()
    assert server.client.run(run.id).state == "cancelled"


def test_scheduled_times_missed_while_down_are_made_up_for_once(server: Server, tmp_path: Path) -> None:
    server.start()
    server.client.put("p", project(tmp_path / "p", "p", {"name": "a", "command": ["true"]}, schedule="0 6 * * 1"))
    assert server.client.runs("p") == []
    next_run = server.client.pipelines()[0].next_run
    assert next_run is not None
    assert (next_run.weekday(), next_run.hour, next_run.minute) == (0, 6, 0), "cron's day 1 is Monday"
    server.end()
    record = server.data / "pipelines" / "p.json"
    kept = json.loads(record.read_text())
    record.write_text(json.dumps({**kept, "scheduled_after": "2020-01-01T00:00:00Z"}))

    server.start()

    wait_for(lambda: [run.state for run in server.client.runs("p")] == ["succeeded"])
    assert [run.trigger for run in server.client.runs("p")] == ["schedule"]
    assert server.client.pipelines()[0].next_run == next_run
    server.end()
    server.start()
    time.sleep(1)
    assert len(server.client.runs("p")) == 1, "a missed time was made up for twice"


def test_a_second_service_on_the_same_data_does_not_start(server: Server, tmp_path: Path) -> None:
    server.start()
    other = Server(tmp_path / "other")
    other.data = server.data
    with pytest.raises(AssertionError, match="another instance of the service"):
        other.start()


def test_steps_that_run_again_are_told(server: Server, tmp_path: Path) -> None:
    server.start()
    told: list[StepRun] = []
    server.client.put("p", project(tmp_path / "p", "p", {"name": "a", "command": ["false"], "retries": 1}))
    server.client.wait(server.client.start("p").id, on_step=told.append, poll_seconds=0.02)
    assert [(step.state, step.attempts) for step in told][-2:] == [("running", 2), ("failed", 2)]
