"""Commands of logs, TLS, quotas and metadata: what belongs to one instance or project."""

from __future__ import annotations

from typing import Any

from troveclient import exceptions
from troveclient.commands.model import INSTANCE, arg, define, flag, whole
from troveclient.commands.shapes import record

LOG = arg("log_name", metavar="<log_name>", help="Name of the log (see the log list).")
LOG_FIELDS = ("name", "type", "status", "published", "pending", "container", "prefix")


def lines(text: str) -> int:
    import argparse

    value = whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: 0 (everything) or more is needed")
    return value


@define(INSTANCE, columns=("Name", "Type", "Status", "Published", "Pending", "Container", "Prefix"))
def list_logs(ctx: Any, a: Any) -> Any:
    found = ctx.client.instances.log_list(ctx.ref(ctx.client.instances, a.instance))
    return [tuple(item._info.get(name) for name in LOG_FIELDS) for item in found]


@define(INSTANCE, LOG)
def show_log(ctx: Any, a: Any) -> Any:
    return record(ctx.client.instances.log_show(ctx.ref(ctx.client.instances, a.instance), a.log_name))


VERBS = {
    "enable": "Let the engine write the log.",
    "disable": "Stop the engine writing the log.",
    "publish": "Copy what is new to object storage.",
    "discard": "Remove the published copies.",
}


@define(INSTANCE, LOG, *(flag(f"--{name}", help=text) for name, text in VERBS.items()))
def set_log(ctx: Any, a: Any) -> Any:
    if not any(getattr(a, name) for name in VERBS):
        raise exceptions.CommandError(f"Say what to do: {', '.join(f'--{name}' for name in VERBS)}.")
    return _log_action(ctx, a, {name: getattr(a, name) for name in VERBS})


def _log_action(ctx: Any, a: Any, verbs: dict[str, bool]) -> Any:
    target = ctx.ref(ctx.client.instances, a.instance)
    return record(
        ctx.client.instances.log_action(
            target,
            a.log_name,
            enable=verbs.get("enable", False),
            disable=verbs.get("disable", False),
            discard=verbs.get("discard", False),
            publish=verbs.get("publish", False),
        )
    )


def _verb(verb: str, *options: str) -> Any:
    @define(INSTANCE, LOG, *(flag(f"--{name}", help=VERBS[name]) for name in options))
    def run(ctx: Any, a: Any) -> Any:
        return _log_action(ctx, a, {verb: True, **{name: getattr(a, name) for name in options}})

    return run


enable_log = _verb("enable")
disable_log = _verb("disable", "discard")
discard_log = _verb("discard")
publish_log = _verb("publish", "disable", "discard")


def _unpublished(a: Any) -> str:
    return f"The log {a.log_name} of {a.instance} has not been published. Publish it first."


@define(
    INSTANCE,
    LOG,
    arg("--lines", metavar="<lines>", type=lines, default=50, help="How many lines from the end; 0 is all of it (50)."),
)
def tail_log(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    try:
        for chunk in ctx.client.instances.log_generator(target, a.log_name, a.lines)():
            ctx.write(chunk)
    except exceptions.GuestLogNotFoundError:
        ctx.say(_unpublished(a))


@define(INSTANCE, LOG, arg("--file", metavar="<file>", default=None, help="File to write (trove-ID-LOG.log)."))
def save_log(ctx: Any, a: Any) -> None:
    target = ctx.ref(ctx.client.instances, a.instance)
    try:
        name = ctx.client.instances.log_save(target, a.log_name, a.file)
    except exceptions.GuestLogNotFoundError:
        raise exceptions.CommandError(_unpublished(a)) from None
    except OSError as error:
        raise exceptions.CommandError(f"Cannot write the log: {error}") from error
    ctx.say(f'Log "{a.log_name}" written to {name}')


# TLS.


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    out = dict(values)
    certificate = out.pop("certificate", None)
    if isinstance(certificate, dict):
        out.update({f"certificate.{key}": value for key, value in certificate.items()})
    return out


@define(INSTANCE, flag("--include-certificate", help="Show the certificate itself, too."))
def show_ssl(ctx: Any, a: Any) -> Any:
    target = ctx.ref(ctx.client.instances, a.instance)
    return _flat(record(ctx.client.instances.ssl_show(target, include_certificate=a.include_certificate)))


@define(
    INSTANCE,
    arg("container_ref", metavar="<container_ref>", help="URL of the secret with key and certificates."),
    arg("--mode", choices=("basic", "enforced", "mtls"), default="basic", help="How strictly TLS is asked of clients."),
    arg(
        "--password-ref",
        "--password_ref",
        dest="password_ref",
        metavar="<password_ref>",
        default=None,
        help="URL of the secret with the password of the key.",
    ),
)
def enable_ssl(ctx: Any, a: Any) -> Any:
    target = ctx.ref(ctx.client.instances, a.instance)
    return ctx.client.instances.ssl_enable(target, a.mode, a.container_ref, password_ref=a.password_ref)


@define(INSTANCE)
def disable_ssl(ctx: Any, a: Any) -> Any:
    return ctx.client.instances.ssl_disable(ctx.ref(ctx.client.instances, a.instance))


@define(INSTANCE)
def rollback_ssl(ctx: Any, a: Any) -> Any:
    return ctx.client.instances.ssl_rollback(ctx.ref(ctx.client.instances, a.instance))


# Quotas.


@define(
    arg("project", metavar="<project>", help="ID or name of the project."),
    columns=("Resource", "In Use", "Reserved", "Limit"),
)
def show_quota(ctx: Any, a: Any) -> Any:
    found = ctx.client.quota.show(ctx.project_id(a.project))
    return [tuple(item._info.get(name) for name in ("resource", "in_use", "reserved", "limit")) for item in found]


@define(
    arg("project", metavar="<project>", help="ID or name of the project."),
    arg("resource", metavar="<resource>", help="What is limited: instances, volumes, ram, backups."),
    arg("limit", metavar="<limit>", type=whole, help="The limit; -1 is unlimited."),
)
def update_quota(ctx: Any, a: Any) -> Any:
    return dict(ctx.client.quota.update(ctx.project_id(a.project), {a.resource: a.limit}))


# Metadata.

OF_INSTANCE = arg("instance_id", metavar="<instance>", help="Name or ID of the instance.")
KEY = arg("key", metavar="<key>", help="The key.")
VALUE = arg("value", metavar="<value>", help="The value; JSON is taken as what it says, anything else as text.")


def _metadata(found: Any) -> dict[str, Any]:
    return record(found)


@define(OF_INSTANCE)
def list_metadata(ctx: Any, a: Any) -> Any:
    return _metadata(ctx.client.metadata.list(ctx.ref(ctx.client.instances, a.instance_id)))


@define(OF_INSTANCE, KEY)
def show_metadata(ctx: Any, a: Any) -> Any:
    return _metadata(ctx.client.metadata.show(ctx.ref(ctx.client.instances, a.instance_id), a.key))


@define(OF_INSTANCE, KEY, VALUE)
def create_metadata(ctx: Any, a: Any) -> Any:
    return _metadata(ctx.client.metadata.create(ctx.ref(ctx.client.instances, a.instance_id), a.key, a.value))


@define(OF_INSTANCE, KEY, VALUE)
def edit_metadata(ctx: Any, a: Any) -> None:
    ctx.client.metadata.edit(ctx.ref(ctx.client.instances, a.instance_id), a.key, a.value)


@define(OF_INSTANCE, KEY, arg("newkey", metavar="<newkey>", help="The new key."), VALUE)
def update_metadata(ctx: Any, a: Any) -> None:
    ctx.client.metadata.update(ctx.ref(ctx.client.instances, a.instance_id), a.key, a.newkey, a.value)


@define(OF_INSTANCE, KEY)
def delete_metadata(ctx: Any, a: Any) -> None:
    ctx.client.metadata.delete(ctx.ref(ctx.client.instances, a.instance_id), a.key)


# Security groups of older services (trove shell only).

GROUP = arg("security_group", metavar="<security_group>", help="ID of the security group.")


@define(columns=("ID", "Name", "Instance ID"))
def list_secgroups(ctx: Any, a: Any) -> Any:
    from troveclient.commands.model import everything

    found = everything(ctx.client.security_groups.list)
    return [(item.id, item.name, item._info.get("instance_id")) for item in found]


@define(GROUP)
def show_secgroup(ctx: Any, a: Any) -> Any:
    out = record(ctx.client.security_groups.get(a.security_group))
    out.pop("rules", None)
    return out


@define(GROUP, columns=("ID", "Protocol", "From Port", "To Port", "CIDR"))
def list_secgroup_rules(ctx: Any, a: Any) -> Any:
    found = ctx.client.security_groups.get(a.security_group)
    names = ("id", "protocol", "from_port", "to_port", "cidr")
    return [tuple(rule.get(name) for name in names) for rule in found._info.get("rules") or []]


@define(
    GROUP,
    arg("cidr", metavar="<cidr>", help="Addresses that may connect, such as 10.0.0.0/8."),
    columns=("ID", "Security Group ID", "Protocol", "From Port", "To Port", "CIDR", "Created"),
)
def add_secgroup_rule(ctx: Any, a: Any) -> Any:
    made = ctx.client.security_group_rules.create(a.security_group, a.cidr)
    names = ("id", "security_group_id", "protocol", "from_port", "to_port", "cidr", "created")
    return [tuple(rule.get(name) for name in names) for rule in made]


@define(arg("security_group_rule", metavar="<security_group_rule>", help="ID of the rule."))
def delete_secgroup_rule(ctx: Any, a: Any) -> None:
    ctx.client.security_group_rules.delete(a.security_group_rule)
