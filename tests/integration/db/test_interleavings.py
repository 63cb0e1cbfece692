"""Owners of one unit of work in any order: claim, stage, lose the lock, take over, commit, lose the answer, crash."""

import tempfile
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.owners import JOB, ORDERS_OF_A_SEED, Handle, forking

OWNERS = 3
SEED = 20261129
NUMBER = st.integers(0, 5)


class Interleaving(RuleBasedStateMachine):
    """One run: a unit of work and its owners.

    After each step, whatever the steps are: the work was committed once at most; an attempt stored nothing after the
    next one began; the first result stays; no two owners hold the lock.
    """

    connection: ClassVar[psycopg.Connection[Any]]
    address: ClassVar[str]
    pool: ClassVar[list[Handle]] = []  # processes that wait for their next run

    def __init__(self) -> None:
        super().__init__()
        self.key = uuid.uuid4().hex
        self.owners = [self.pool.pop() if self.pool else Handle(self.address) for _ in range(OWNERS)]
        # out; stopped (in a slow claim); waiting (its claim does); in; or the kind of its open transaction: stage, work
        self.state = ["out"] * OWNERS
        self.locked: list[int | None] = [None] * OWNERS  # the session that holds the lock
        self.tokens = [0] * OWNERS  # the attempt of each owner
        self.newest = 0  # of the tokens
        self.attempts = 0  # of the unit, when it was last looked at
        self.effects = 0
        self.first_result: Any = None

    # --- steps, each by one of those who can do it

    @precondition(lambda self: "out" in self.state)
    @rule(number=NUMBER)
    def claim(self, number: int) -> None:
        who = self.one(number, "out")
        self.send_claim(who, "claim", key=self.key)

    @precondition(lambda self: "out" in self.state and not self.has_open() and self.nobody_claims())
    @rule(number=NUMBER)
    def claim_slowly(self, number: int) -> None:
        """The claim stops between reading the row and taking it over; its predecessor does not notice, and works on."""
        self.lose_lock()
        who = self.one(number, "out")
        answer = self.ask(who, "claim", key=self.key, slowly=True)
        if "stopped" in answer:
            self.state[who], self.locked[who] = "stopped", answer["stopped"]
        else:
            assert answer["done"]
            assert answer["result"] == self.first_result

    @precondition(lambda self: "stopped" in self.state)
    @rule()
    def go_on(self) -> None:
        who = self.one(0, "stopped")
        self.send_claim(who, "go on")

    @precondition(lambda self: "in" in self.state)
    @rule(number=NUMBER, kind=st.sampled_from(["stage", "stage", "work"]))
    def begin(self, number: int, kind: str) -> None:
        who = self.one(number, "in")
        owns = self.tokens[who] == self.newest and self.first_result is None
        assert self.ask(who, "begin", kind=kind) == ({} if owns else {"error": "SupersededError"})
        self.state[who] = kind if owns else "in"

    @precondition(lambda self: self.has_open())
    @rule(number=NUMBER, how=st.sampled_from(["commit", "commit", "rollback", "lost", "arrived"]))
    def end(self, number: int, how: str) -> None:
        who = self.one(number, "stage", "work")
        kind, self.state[who] = self.state[who], "in"
        if how in {"commit", "rollback"}:
            assert self.ask(who, how) == {}
        else:
            answer = self.ask(who, "commit_without_answer", arrives=how == "arrived")
            assert answer == {"committed": how == "arrived" and kind == "work"}

    @precondition(lambda self: "in" in self.state and not self.has_open())  # its update would wait for the open one
    @rule(number=NUMBER, how=st.sampled_from(["leave", "fail"]))
    def exit(self, number: int, how: str) -> None:
        who = self.one(number, "in")
        owned = self.tokens[who] == self.newest
        assert self.ask(who, how) == ({} if owned or how == "fail" else {"error": "SupersededError"})
        self.state[who], self.locked[who] = "out", None

    @precondition(lambda self: any(self.locked) and self.nobody_claims())
    @rule()
    def lose_lock(self) -> None:
        """The network drops the connection with the lock; its owner does not notice."""
        for who in range(OWNERS):
            self.end_session(who)

    @precondition(lambda self: any(self.locked) and self.nobody_claims() and "out" in self.state)
    @rule(number=NUMBER)
    def take_over(self, number: int) -> None:
        self.lose_lock()
        self.claim(number)

    @precondition(lambda self: any(self.locked) and self.nobody_claims() and {"out", "work"} <= set(self.state))
    @rule(number=NUMBER, how=st.sampled_from(["commit", "rollback", "lost", "arrived"]))
    def overtake_the_work(self, number: int, how: str) -> None:
        """Another one claims the unit while its work is open; then the work ends."""
        self.take_over(number)
        self.end(0, how)

    @precondition(lambda self: {"in", "stage", "work", "stopped"} & set(self.state))
    @rule(number=NUMBER)
    def crash(self, number: int) -> None:
        self.replace(self.one(number, "in", "stage", "work", "stopped"))

    # --- what must hold

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        self.settle()
        found = self.connection.execute(
            """
            SELECT r.attempts, r.status, r.result, count(e.id), count(e.id) FILTER (WHERE e.kind = 'work'),
                   min(e.attempt) FILTER (WHERE e.id > %s), max(e.id)
            FROM task_runs r LEFT JOIN effects e ON e.unit = r.id WHERE r.idempotency_key = %s GROUP BY r.id""",
            [self.effects, self.key],
        ).fetchone()
        if found is None:
            return
        attempts, status, result, _, works, oldest_new, last = found
        assert attempts >= self.attempts
        assert oldest_new is None or oldest_new >= self.attempts, "an attempt stored something after it was superseded"
        assert works <= 1
        if self.first_result is not None:
            assert (status, result) == ("completed", self.first_result)
        elif status == "completed":
            self.first_result = result
        else:
            assert works == 0, "work without its completion"
        self.attempts, self.effects = attempts, last or self.effects

    def teardown(self) -> None:
        """Everybody crashes; whoever comes next finishes the unit, or finds it done."""
        for kinds in ({"stage", "work"}, {"in", "stopped"}):  # the end of a transaction ends the waiting for it
            for who in range(OWNERS):
                if self.state[who] in kinds:
                    self.replace(who)
            self.settle()
        self.claim(0)
        if "in" in self.state:
            assert self.first_result is None
            self.begin(0, "work")
            self.end(0, "commit")
            self.exit(0, "leave")
        self.nothing_is_lost_or_doubled()
        assert self.first_result is not None
        self.pool.extend(self.owners)

    # --- helpers

    def one(self, number: int, *states: str) -> int:
        """One of the owners in one of these states."""
        found = [who for who, state in enumerate(self.state) if state in states]
        return found[number % len(found)]

    def nobody_claims(self) -> bool:
        """Whether no claim is under way, which would notice that its lock is lost."""
        return not {"stopped", "waiting"} & set(self.state)

    def has_open(self) -> bool:
        return any(state in {"stage", "work"} for state in self.state)

    def ask(self, who: int, command: str, **arguments: Any) -> dict[str, Any]:
        self.owners[who].send(command, **arguments)
        return self.owners[who].answer()

    def send_claim(self, who: int, command: str, **arguments: Any) -> None:
        """Send it and return when it is answered, or waits for an open transaction: what follows must not vary."""
        before = self.waiting_sessions()
        self.owners[who].send(command, **arguments)
        self.state[who] = "waiting"
        while self.has_open() and not self.owners[who].has_answered(0.002) and self.waiting_sessions() == before:
            pass
        self.settle()

    def waiting_sessions(self) -> int:
        """How many sessions wait for a lock."""
        [count] = self.connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() or [0]
        return int(count)

    def settle(self) -> None:
        """Take the answers of the claims that wait for nothing."""
        for who, owner in enumerate(self.owners):
            if self.state[who] == "waiting" and (not self.has_open() or owner.has_answered(0)):
                answer = owner.answer()
                assert answer.get("error") in {None, "AlreadyRunningError"}
                self.state[who] = "out" if answer.get("error") or answer["done"] else "in"
                self.locked[who] = None
                if self.state[who] == "in":
                    assert not any(self.locked), "two owners hold the lock"
                    assert self.first_result is None, "it was completed before"
                    assert answer["attempts"] > self.newest, "an attempt without a new token"
                    self.locked[who] = answer["lock"]
                    self.newest = self.tokens[who] = answer["attempts"]
                elif answer.get("error"):
                    assert any(self.locked) or "waiting" in self.state, "nobody holds the unit"
                else:
                    assert answer["result"] == self.first_result or self.first_result is None

    def replace(self, who: int) -> None:
        """Kill the process of an owner; another one takes its place when the sessions of the first are gone."""
        self.owners[who].kill()
        self.end_session(who)
        self.owners[who] = Handle(self.address)
        self.state[who] = "out"

    def end_session(self, who: int) -> None:
        """End the session with the lock, if there is one; returns when it has ended."""
        if (pid := self.locked[who]) is not None:
            self.connection.execute("SELECT pg_terminate_backend(%s)", [pid])
            # Its own waiting for the end looks ten times a second.
            while self.connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
                pass
            self.locked[who] = None


@pytest.fixture
def interleaving(database: str) -> Iterator[type[Interleaving]]:
    with (
        tempfile.TemporaryDirectory(prefix="owners-") as directory,
        forking(directory, database) as address,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE effects (id serial, unit int, attempt int, kind text)")
        Interleaving.connection, Interleaving.address = connection, address
        Interleaving.pool.clear()
        yield Interleaving


def check(machine: type[Interleaving], runs: int, number: int = 0) -> None:
    run_state_machine_as_test(
        seed(SEED + number)(machine),
        settings=settings(
            max_examples=runs,
            stateful_step_count=12,
            deadline=None,
            derandomize=False,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    found = machine.connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE status = 'completed') FROM task_runs WHERE name = %s", [JOB]
    ).fetchone()
    assert found is not None
    assert found[0] == found[1] >= runs


def test_in_any_order_of_steps_the_work_is_committed_once(interleaving: type[Interleaving]) -> None:
    check(interleaving, 8)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_in_many_orders_of_steps_the_work_is_committed_once(
    interleaving: type[Interleaving], seed_of_orders: int
) -> None:
    check(interleaving, ORDERS_OF_A_SEED, seed_of_orders)
