"""An executor in a process of its own, to be killed in the middle of a step: `python -m ...child URL FILE`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from trove.db.store import open_store
from trove.operations.context import Done, Outcome, StepContext, StepFunction
from trove.operations.executor import Executor
from trove.tests.unit.operations.conftest import POOL, tools_of


def main(url: str, mark: Path) -> None:
    """Run operations; the step `two` says on the file which order it has got, and never comes back."""

    def find(name: str) -> StepFunction:
        def run(context: StepContext) -> Outcome:
            if name == "two":
                mark.write_text(context.order.id)
                threading.Event().wait()
            return Done({"by": "child"})

        return run

    Executor(tools_of(open_store(url, POOL)), "child", lease_seconds=1.0, find=find).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
