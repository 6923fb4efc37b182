"""Jobs and loops: run once, watched, cancelled, handed on."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import OperationalError, connection, transaction

from hetang.platform import jobs, loops
from hetang.platform.models import JobRun, Lease
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@jobs.job("tests.count")
def _count(work: jobs.Work) -> dict[str, int]:
    for number in range(work.arguments["to"]):
        work.progress(number + 1, work.arguments["to"], stage="counting")
    return {"counted": work.arguments["to"]}


@jobs.job("tests.fails")
def _fails(work: jobs.Work) -> dict[str, int]:
    raise ValueError("no such column")


def test_a_job_reports_its_progress_and_result() -> None:
    run = jobs.enqueue("tests.count", "Count to three", {"to": 3})
    assert jobs.run_waiting() == 1
    run.refresh_from_db()
    assert (run.state, run.done, run.total, run.stage, run.attempts) == ("done", 3, 3, "counting", 1)
    assert run.result == {"counted": 3}


def test_a_job_of_a_rolled_back_transaction_never_starts() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        jobs.enqueue("tests.count", "Never", {"to": 1})
        raise RuntimeError
    assert JobRun.objects.count() == 0
    assert _queued() == 0


def test_a_failure_is_kept_with_its_reason() -> None:
    run = jobs.enqueue("tests.fails", "Fails", {})
    jobs.run_waiting()
    run.refresh_from_db()
    assert (run.state, run.error) == ("failed", "ValueError: no such column")


def test_a_run_that_loses_a_server_starts_again_and_is_given_up_at_the_fifth_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "_SERVER_PAUSE_S", 0.0)
    away = iter([True, True, False])

    @jobs.job("tests.unlucky")
    def _unlucky(work: jobs.Work) -> dict[str, int]:
        if next(away, True):
            raise OperationalError("the connection is lost")
        return {"done": 1}

    lucky = jobs.enqueue("tests.unlucky", "Twice unlucky", {})
    jobs.run_waiting()
    unlucky = jobs.enqueue("tests.unlucky", "Always unlucky", {})
    jobs.run_waiting()
    assert list(JobRun.objects.order_by("id").values_list("id", "state", "attempts", "error")) == [
        (lucky.id, "done", 3, ""),
        (unlucky.id, "failed", 5, "OperationalError: the connection is lost"),
    ]


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_at_its_checkpoint() -> None:
    waiting = jobs.enqueue("tests.count", "Waiting", {"to": 1})
    jobs.cancel(waiting)
    assert jobs.run_waiting() == 0

    @jobs.job("tests.cancels")
    def _cancels(work: jobs.Work) -> dict[str, int]:
        jobs.cancel(JobRun.objects.get(id=work.job_run_id))
        work.checkpoint()
        raise AssertionError("not reached")

    running = jobs.enqueue("tests.cancels", "Running", {})
    jobs.run_waiting()
    assert list(JobRun.objects.order_by("id").values_list("id", "state")) == [
        (waiting.id, "cancelled"),
        (running.id, "cancelled"),
    ]


def test_a_run_starts_once_even_if_two_workers_take_it() -> None:
    run = jobs.enqueue("tests.count", "Once", {"to": 1})
    workers = [threading.Thread(target=_execute, args=(run.id,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("done", 1)


def test_a_run_of_a_dead_process_starts_again_and_is_given_up_after_five_deaths() -> None:
    machine = loops.me().partition("/")[0]
    left = _abandoned("tests.count", owner=f"{machine}/999999/1#1", attempts=1)
    often = _abandoned("tests.count", owner=f"{machine}/999999/1#5", attempts=5)
    jobs.rescue()
    assert JobRun.objects.get(id=often).state == "failed"
    assert JobRun.objects.get(id=left).state == "waiting"
    jobs.run_waiting()
    done = JobRun.objects.get(id=left)
    assert (done.state, done.attempts) == ("done", 2)


def test_a_silent_run_elsewhere_is_rescued_after_six_seconds_only() -> None:
    run = _abandoned("tests.count", owner="elsewhere-1/7/7#1", attempts=1)
    jobs.rescue()
    assert JobRun.objects.get(id=run).state == "running"
    _silence(run, 7)
    jobs.rescue()
    assert JobRun.objects.get(id=run).state == "waiting"


def test_a_worker_that_lost_its_run_stops_at_its_next_report() -> None:
    reached = []

    @jobs.job("tests.frozen")
    def _frozen(work: jobs.Work) -> dict[str, int]:
        if not reached:
            reached.append("first")
            JobRun.objects.filter(id=work.job_run_id).update(owner="another#2", attempts=2)
            work.checkpoint()
            raise AssertionError("not reached")
        return {}

    run = jobs.enqueue("tests.frozen", "Frozen", {})
    jobs.run_waiting()
    run.refresh_from_db()
    assert (run.state, run.owner) == ("running", "another#2")


def test_a_waiting_run_whose_queue_entry_is_lost_is_queued_again() -> None:
    run = jobs.enqueue("tests.count", "Lost", {"to": 1})
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs")
    _silence(run.id, 7)
    jobs.rescue()
    assert _queued() == 1
    jobs.rescue()
    assert _queued() == 1


def test_a_lease_has_one_holder_until_it_expires_or_dies() -> None:
    assert loops.acquire("proof")
    assert loops.acquire("proof")
    Lease.objects.filter(name="proof").update(holder="elsewhere-1/7/7")
    assert not loops.acquire("proof")
    assert loops.renew() == set()
    with connection.cursor() as cursor:
        cursor.execute("update platform_lease set expires_at = clock_timestamp() - interval '1 second'")
    assert loops.acquire("proof")
    machine = loops.me().partition("/")[0]
    Lease.objects.filter(name="proof").update(holder=f"{machine}/999999/1")
    assert loops.acquire("proof")


def test_a_loop_that_raises_leaves_the_others_running(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[str] = []

    def good() -> float:
        turns.append("good")
        return 0.01

    def bad() -> float:
        raise ValueError("broken handler")

    runner = loops.Runner([loops.Loop("good", good), loops.Loop("bad", bad)])
    runner.start()
    wait_until(lambda: len(turns) >= 3, 10)
    runner.stop()
    assert "loop bad failed (1 in a row)" in caplog.text
    assert Lease.objects.count() == 0


def _execute(run_id: int) -> None:
    try:
        jobs.execute(run_id)
    finally:
        connection.close()


def _abandoned(kind: str, owner: str, attempts: int) -> int:
    run = jobs.enqueue(kind, "Left behind", {"to": 1})
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs")
    JobRun.objects.filter(id=run.id).update(state="running", owner=owner, attempts=attempts)
    return run.id


def _silence(run_id: int, seconds: int) -> None:
    run = JobRun.objects.get(id=run_id)
    assert run.beat_at is not None
    JobRun.objects.filter(id=run_id).update(beat_at=run.beat_at - dt.timedelta(seconds=seconds))


def _queued() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from procrastinate_jobs where status = 'todo'")
        return int(cursor.fetchone()[0])
