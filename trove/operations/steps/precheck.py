"""The last look before anything is touched: every engine is asked, now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from trove.domain.errors import Unavailable
from trove.domain.health import Health
from trove.domain.instances import Instance
from trove.operations.context import Done, Outcome, Retry, StepContext


def health(context: StepContext) -> Outcome:
    """Pass when all members are healthy by their own word; what can mend itself is waited for."""
    members = [context.tools.store.instance(instance_id) for instance_id in context.params["members"]]

    def ask(member: Instance) -> Health | str:
        try:
            return context.tools.guests.health(context.guest(member))
        except Unavailable as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=len(members)) as pool:
        answers = list(zip(members, pool.map(ask, members), strict=True))
    said = [(member, answer) for member, answer in answers if isinstance(answer, Health)]
    context.tools.store.record_health({member.id: answer for member, answer in said})
    wrong = [f"{member.name}: {answer}" for member, answer in answers if isinstance(answer, str)]
    wrong += [f"{member.name}: its engine says {h.status} {h.reason}" for member, h in said if not h.healthy]
    if wrong:
        return Retry("; ".join(wrong), after=1.0)
    return Done({member.name: answer.version for member, answer in said})
