"""All that the git-annex branch configures, as texts: to be read at once, and set again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shoal.annex.configfile import Values, show_size
from shoal.annex.names import BUILT_IN
from shoal.annex.repositories import set_trust
from shoal.errors import ShoalError
from shoal.logs import trust
from shoal.logs.trust import TrustLevel
from shoal.values.size import parse_size
from shoal.values.uuid import UUID

if TYPE_CHECKING:
    from shoal.annex.session import Session


def configured(session: Session) -> Values:
    """Give everything that is configured."""
    logs = session.logs
    values: Values = {}
    # The log alone counts here, not what git config says of remotes.
    for uuid, level in trust.parse(session.repository.branch.read(trust.PATH)).items():
        values["trust", uuid] = level.name.lower()
    for uuid, groups in logs.groups().items():
        values["group", uuid] = " ".join(sorted(groups))
    for setting, texts in (
        ("wanted", logs.wanted()),
        ("required", logs.required()),
        ("groupwanted", logs.group_wanted()),
        ("schedule", logs.schedules()),
        ("config", {name: value for name, value in logs.config().items() if value}),
    ):
        values |= {(setting, field): text for field, text in texts.items()}
    for uuid, size in logs.max_sizes().items():
        values["maxsize", uuid] = show_size(size)
    for setting, number in (("numcopies", logs.numcopies()), ("mincopies", logs.mincopies())):
        if number is not None:
            values[setting, "default"] = str(number)
    return values


def shown_names(session: Session) -> Mapping[UUID, str]:
    """Give how each known repository is shown."""
    known = {*BUILT_IN, *session.logs.descriptions()}
    return {uuid: session.names.in_json(uuid) for uuid in known}


def used_groups(session: Session) -> frozenset[str]:
    """Give the groups that have members."""
    return frozenset().union(*session.logs.groups().values())


def configure(session: Session, changes: Values) -> None:
    """Record changed settings. Raises ShoalError for a value that cannot be recorded."""
    for (setting, field), value in changes.items():
        try:
            _set(session, setting, field, value)
        except ValueError as error:
            raise ShoalError(f"{setting} {field}: {error}") from error


def _set(session: Session, setting: str, field: str, value: str) -> None:
    logs, uuid = session.logs, UUID(field)
    match setting:
        case "trust":
            set_trust(session.repository, uuid, TrustLevel[value.upper()])
        case "group":
            logs.set_groups(uuid, value.split())
        case "wanted":
            logs.set_wanted(uuid, value)
        case "required":
            logs.set_required(uuid, value)
        case "groupwanted":
            logs.set_group_wanted(field, value)
        case "schedule":
            logs.set_schedule(uuid, value)
        case "maxsize":
            logs.set_max_size(uuid, parse_size(value))
        case "numcopies":
            logs.set_numcopies(int(value))
        case "mincopies":
            logs.set_mincopies(int(value))
        case "config":
            logs.set_config(field, value)
        case _:
            raise AssertionError(setting)
