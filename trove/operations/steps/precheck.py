"""The last look before something is touched: every engine is asked, now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from trove.domain.errors import Unavailable
from trove.domain.health import Health
from trove.domain.instances import Instance
from trove.operations.context import Done, Failed, Outcome, Retry, StepContext
from trove.operations.steps.guest import runs


def health(context: StepContext) -> Outcome:
    """Pass when all members are healthy by their own word; what can mend itself is waited for.

    Another release or another role than the plan was made for will not mend itself.
    """
    answers = _ask(context, context.params["members"])
    said = [(member, answer) for member, answer in answers if isinstance(answer, Health)]
    context.tools.store.record_health({member.id: answer.after(member.health) for member, answer in said})
    ahead = [h for member, h in said if h.healthy and member.id in context.params.get("ahead", ())]
    wrong = [
        _unwell(member, answer)
        for member, answer in answers
        if isinstance(answer, str) or not (answer.healthy or any(answer.follows(newer) for newer in ahead))
    ]
    if wrong:
        return Retry("; ".join(wrong), after=0.2)
    other = _otherwise(said, context.params.get("version"), context.params.get("roles") or {})
    if other:
        return Failed("; ".join(other) + "; the plan was made for something else, ask again for one that knows it")
    return Done({member.name: answer.version for member, answer in said})


def roles(context: StepContext) -> Outcome:
    """Pass unless one of the members says that its role is another; who does not answer leads nobody."""
    role = context.params["role"]
    other = [
        f"{member.name} says that it is {answer.role}, no longer {role}"
        for member, answer in _ask(context, context.params["members"])
        if isinstance(answer, Health) and answer.role not in ("", role)
    ]
    if other:
        return Failed(f"{'; '.join(other)}: {context.params['otherwise']}")
    return Done()


def source(context: StepContext) -> Outcome:
    """Pass when one of the members serves on that release, in that role if one is wanted; wait for it otherwise."""
    members, role = context.params["members"], context.params["role"]
    roles = dict.fromkeys(members, role) if role else {}
    wrong = []
    for member, answer in _ask(context, members):
        if isinstance(answer, str) or not answer.healthy:
            wrong.append(_unwell(member, answer))
        elif other := _otherwise([(member, answer)], context.params["version"], roles):
            wrong += other
        else:
            return Done({member.name: answer.version})
    return Retry(f"nobody can give {context.step.member_name} a full copy: {'; '.join(wrong)}", after=0.2)


def _ask(context: StepContext, instance_ids: Sequence[str]) -> list[tuple[Instance, Health | str]]:
    """Ask the engines of all these at once; in place of an answer the reason why there is none."""
    members = [context.tools.store.instance(instance_id) for instance_id in instance_ids]

    def ask(member: Instance) -> Health | str:
        try:
            return context.tools.guests.health(context.guest(member))
        except Unavailable as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=len(members)) as pool:
        return list(zip(members, pool.map(ask, members), strict=True))


def _unwell(member: Instance, answer: Health | str) -> str:
    said = answer if isinstance(answer, str) else f"its engine says {answer.status} {answer.reason}"
    return f"{member.name}: {said}"


def _otherwise(said: Sequence[tuple[Instance, Health]], version: str | None, roles: Mapping[str, str]) -> list[str]:
    """Tell what is not as the plan took it to be."""
    found = []
    for member, health in said:
        if version is not None and not runs(health.version_number, version):
            found.append(f"{member.name}: its engine says it runs {health.version or 'nothing'}, not {version}")
        if health.role != roles.get(member.id, health.role):
            found.append(f"{member.name}: its engine says it is {health.role}, not {roles[member.id]}")
    return found
