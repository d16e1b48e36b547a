from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

from trove.api.wsgi import LazyApplication


def test_it_is_made_once_however_many_ask() -> None:
    made: list[int] = []
    begin = threading.Barrier(8)

    def make() -> Any:
        made.append(1)
        return lambda environ, start_response: [b"answer"]

    application = LazyApplication(make)
    answers: list[Any] = []

    def ask() -> None:
        begin.wait(10)
        answers.append(application({}, lambda *_: None))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [[b"answer"]] * 8
    assert made == [1]


def test_importing_it_reads_nothing() -> None:
    code = "import sys, trove.api.wsgi; sys.exit('sqlalchemy' in sys.modules or 'falcon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
