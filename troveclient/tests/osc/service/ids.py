"""The ids of what is there."""

from __future__ import annotations


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


MARIADB, VALKEY = uuid(901), uuid(902)
V1011, V118 = uuid(911), uuid(912)
SHOP, CACHE = uuid(1), uuid(2)
SHOP_MEMBERS = uuid(21), uuid(22), uuid(23)
ORDERS, REPORTS, TWIN1, TWIN2 = uuid(11), uuid(12), uuid(13), uuid(14)
BACKUP, GROUP, MODULE = uuid(31), uuid(41), uuid(51)
OPERATION, HELD, BROKEN = uuid(61), uuid(62), uuid(63)
SECGROUP, RULE, NEW_RULE = uuid(71), uuid(72), uuid(73)
