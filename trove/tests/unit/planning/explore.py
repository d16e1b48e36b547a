"""Kill an operation at every point of its plan and look where each way out leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from trove.domain.operations import QUESTIONS
from trove.domain.plans import Plan, Started, Step, may_roll_back, undo_steps
from trove.tests.unit.planning.model import Impossible, Model, need


@dataclass(frozen=True)
class Point:
    """A place where a process can die: in a step (`done` False) or right after it."""

    index: int
    done: bool
    world: Model

    def started(self, plan: Plan) -> list[Started]:
        return [(step, n < self.index or self.done) for n, step in enumerate(plan.steps[: self.index + 1])]


def points(start: Model, plan: Plan) -> Iterator[Point]:
    world = start.copy()
    for index, step in enumerate(plan.steps):
        yield Point(index, False, world.copy())
        for _ in world.parts(step):
            world.look()
            yield Point(index, False, world.copy())
        world.look()
        yield Point(index, True, world.copy())


def repeat(world: Model, step: Step) -> Model:
    """Do a step; killed in any of its parts and run again, or told once more when done, it leads to the same end."""
    half, ends = world.copy(), []
    for _ in half.parts(step):
        half.look()
        again = half.copy()
        again.run(step)
        ends.append(again)
    half.look()
    twice = half.copy()
    twice.run(step)
    for end in (*ends, twice):
        need(end == half, f"'{step.title}' does not lead to the same end when it is run again")
    return half


def explore(
    start: Model, plan: Plan, came_back: Callable[[Model, Model], None], arrived: Callable[[Model], None]
) -> int:
    """Roll back from every point, and go on from every point; returns how many rollbacks were tried.

    Going on from inside a step leads where the step leads (`repeat`), so one run to the end stands for all.
    A rollback that is stopped by a question turns around and goes on to the end. `came_back(base, world)` looks at a
    rollback, `base` being the world of the latest commit; `arrived(world)` at the end.
    """
    tried, base, world = 0, start, start
    for point in points(start, plan):
        started, step = point.started(plan), plan.steps[point.index]
        where = f"{'after' if point.done else 'in'} step {point.index} ({step.member_name}: {step.title})"
        try:
            if point.done:
                world = repeat(world, step)
                need(world == point.world, "the same step led elsewhere")
                base = world if step.commit else base
            since = [s for s, _ in started[1 + _last_commit(started) :]]
            need(may_roll_back(started) == (not any(s.no_return for s in since)), "a point of no return is not kept")
            if may_roll_back(started):
                back = point.world
                for index, taken_back in undone(started):
                    if point.done and taken_back and taken_back[0].name.startswith(QUESTIONS):
                        arrived(go_on(back.copy(), plan.steps[index + 1 :]))
                    for undo in taken_back:
                        where += f" < {undo.title}"
                        back = repeat(back, undo)
                came_back(base, back)
                tried += 1
        except Impossible as error:
            raise AssertionError(f"{where}: {error}") from error
    arrived(world)
    return tried


def go_on(world: Model, steps: Iterable[Step]) -> Model:
    """Do the steps one after the other."""
    for step in steps:
        for _ in world.parts(step):
            world.look()
        world.look()
    return world


def stopped_at(world: Model, started: list[Started]) -> int:
    """Roll back until a question says that it cannot be; return the index of the step behind which to go on again."""
    for index, taken_back in undone(started):
        for nth, undo in enumerate(taken_back):
            try:
                world.run(undo)
            except Impossible:
                need(nth == 0 and undo.name.startswith(QUESTIONS), f"stopped half-way at '{undo.title}'")
                return index
    raise Impossible("it came back")


def undone(started: list[Started]) -> list[tuple[int, tuple[Step, ...]]]:
    """What takes back each started step, by the step's index, in the order of the rollback."""
    since = 1 + _last_commit(started)
    each = [(index, started[index][0].undo) for index in reversed(range(since, len(started)))]
    assert [undo.title for _, undos in each for undo in undos] == [undo.title for undo in undo_steps(started)]
    return each


def _last_commit(started: list[Started]) -> int:
    return max((n for n, (step, done) in enumerate(started) if step.commit and done), default=-1)
