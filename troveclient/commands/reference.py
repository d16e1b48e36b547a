"""What is made from the commands themselves: `python -m troveclient.commands.reference FILE…`.

A Markdown FILE has two markers; the reference is put between them. A TOML FILE gets the entry points of the
`openstack` commands. Without a file the reference is printed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from troveclient.commands.index import TABLE, Row
from troveclient.commands.model import Arg

BEGIN = "<!-- commands: made by python -m troveclient.commands.reference -->"
END = "<!-- commands end -->"
TABLE_HEAD = '[project.entry-points."openstack.database.v1"]'


def definition(row: Row) -> Any:
    module, _, name = row.run.partition(":")
    return getattr(import_module(f"troveclient.commands.{module}"), name).definition


def _positional(item: Arg) -> bool:
    return not item.names[0].startswith("-")


def _word(item: Arg) -> str:
    """A positional as it is typed."""
    text = str(item.options.get("metavar", f"<{item.names[0]}>"))
    return {"?": f"[{text}]", "+": f"{text}…"}.get(str(item.options.get("nargs")), text)


def _option(item: Arg) -> str:
    """An option with its value; older spellings behind it."""
    value = item.options.get("metavar") or ""
    if not value and item.options.get("choices"):
        value = "{" + ",".join(str(choice) for choice in item.options["choices"]) + "}"
    if item.options.get("nargs") == "+":
        value = f"{value}…"
    names = ", ".join(f"`{name}`" for name in item.names)
    return f"{names} `{value}`" if value else names


def _entry(rows: list[Row]) -> list[str]:
    """One command with all of its names."""
    first = rows[0]
    made = definition(first)
    words = " ".join(_word(item) for item in made.args if _positional(item))
    names = [f"openstack {row.name}" for row in rows if row.name]
    names += [f"trove {name}" for row in rows for name in row.trove.split()]
    lines = [f"#### {names[0]}", "", first.help, "", "```"]
    lines += [f"{name} {words}".rstrip() for name in names]
    lines += ["```", ""]
    items = [item for item in made.args if item.options.get("help") != "==SUPPRESS=="]
    for item in items:
        name = f"`{_word(item)}`" if _positional(item) else _option(item)
        lines.append(f"- {name}: {item.options['help']}")
    if items:
        lines.append("")
    if made.columns:
        lines += [f"Columns: {', '.join(made.columns)}.", ""]
    return lines


def text() -> str:
    """The whole reference, grouped as in the index."""
    groups: dict[str, list[Row]] = {}
    for row in TABLE:
        groups.setdefault(row.run, []).append(row)
    lines: list[str] = []
    for rows in groups.values():
        lines += _entry(rows)
    return "\n".join(lines).rstrip() + "\n"


def inserted(page: str) -> str:
    """The page with the reference between its markers. Raises ValueError without them."""
    head, begin, rest = page.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{text()}\n{END}{tail}"


def entry_points(project: str) -> str:
    """The project file with its table of entry points made anew."""
    names = sorted((row.name.replace(" ", "_"), f"troveclient.osc.v1.{row.cls}") for row in TABLE if row.name)
    head, table, rest = project.partition(f"{TABLE_HEAD}\n")
    if not table:
        raise ValueError(f"the project file needs the table {TABLE_HEAD}")
    _old, _blank, tail = rest.partition("\n\n")
    return head + table + "\n".join(f'{name} = "{value}"' for name, value in names) + "\n\n" + tail


def main(argv: list[str]) -> int:
    if not argv:
        print(text(), end="")
    for name in argv:
        file = Path(name)
        change = entry_points if file.suffix == ".toml" else inserted
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
