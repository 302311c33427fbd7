"""What there is to say about a key in a cluster, as text of 80 columns and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from shoal.cli.format import quoted_path
from shoal.errors import NoSuchRemote, RemoteUnavailable
from shoal.preferred.trail import trail
from shoal.values.humansize import rough_size

if TYPE_CHECKING:
    from shoal.annex.jsonvalue import JSON
    from shoal.annex.names import Names
    from shoal.operations.explaining import KeyView, NodeView
    from shoal.operations.plan import KeyPlan
    from shoal.preferred.explain import Explanation, Member, Placement, Step
    from shoal.values.uuid import UUID

_WIDTH = 80
_PERCENT = 100


def text_of(view: KeyView, names: Names) -> Iterator[str]:
    """Give the lines for people."""
    shown = _Shown(view, names)
    yield f"key: {view.key}"
    for file in view.files:
        yield f"file: {quoted_path(file)}"
    size = "unknown" if view.key.size is None else rough_size(view.key.size)
    yield f"size: {size}"
    needed = view.needed
    yield f"copies: {needed.numcopies} wanted, never fewer than {needed.mincopies}"
    if view.outside:
        yield f"also in: {shown.names(view.outside)}"
    for node in view.nodes:
        yield ""
        yield from shown.node(node)
    for placement in shown.placements():
        yield ""
        yield from shown.ranking(placement)
    yield ""
    yield from shown.what_would_be_done()


class _Shown:
    """Turns parts of a view into lines."""

    def __init__(self, view: KeyView, names: Names) -> None:
        self._view = view
        self._node_names = {node.uuid: node.name for node in view.nodes}
        self._all_names = names

    def name(self, repo: UUID) -> str:
        return self._node_names.get(repo) or self._all_names.shown(repo) or repo

    def names(self, repos: Iterable[UUID]) -> str:
        return ", ".join(map(self.name, repos))

    def node(self, node: NodeView) -> Iterator[str]:
        """Say what a node has, and what it wants."""
        limit = "" if not node.max_size else f" of {rough_size(node.max_size)}"
        yield f"{node.name}: {_presence(node)}; holds {rough_size(node.size)}{limit}"
        yield from _wrapped(_wish(node.now, keep=node.is_logged))
        if node.rebalanced is not None and node.rebalanced.matches is not node.now.matches:
            belongs = "belongs here" if node.rebalanced.matches else "does not belong here"
            yield from _wrapped(f"by a rebalance it {belongs}: {trail(node.rebalanced.root)}")
        if node.required is not None:
            what = "required here" if node.required.matches else "not required here"
            yield from _wrapped(f"{what}: {trail(node.required.root)}")

    def placements(self) -> list[Placement]:
        """Give the balanced choices that count, each once."""
        found: dict[tuple[str, int, tuple[UUID, ...]], Placement] = {}
        for node in self._view.nodes:
            for explanation in (node.now, node.rebalanced):
                for term in explanation.root.terms() if explanation is not None else ():
                    if (choice := term.placement) is not None:
                        order = tuple(m.repo for m in choice.members if m.rank is not None)
                        found.setdefault((choice.group, choice.count, order), choice)
        return list(found.values())

    def ranking(self, choice: Placement) -> Iterator[str]:
        """Show how the members of a group were chosen."""
        candidates = sum(member.rank is not None for member in choice.members)
        how = ", those with most room" if choice.by_size else ""
        yield (
            f"group {choice.group}: {choice.count} wanted, {len(choice.members)} members, "
            f"{candidates} candidates{how}"
        )
        if candidates:
            yield f"  rank {choice.rank:064x}"
            yield (
                f"  modulo {candidates}: {choice.rank % candidates}, which is the place of the "
                "first choice by UUID, from 0"
            )
        yield "  choice      size  maxsize  free  node"
        for member in choice.members:
            yield f"  {_member(member)}  {self.name(member.repo)}"

    def what_would_be_done(self) -> Iterator[str]:
        put = self._view.put
        where = self.names(put.nodes)
        if put.reason == "wanted":
            yield f"an upload: to {where}"
        elif put.reason == "already there":
            yield f"an upload: nowhere, no other node wants it; it is on {where}"
        elif put.reason == "full":
            yield "an upload: refused, not enough space on any wanted node"
        elif put.reason == "no nodes":
            yield "an upload: nowhere, the cluster has no nodes here"
        else:
            unwanted = f"to {where}" if where else "refused"
            yield f"an upload: no node wants it; {unwanted} (git config shoal.unwanted)"
        for goal, plan in self._view.plans.items():
            yield from _wrapped(f"{goal.value}: {self.plan(plan)}", "")
        for node, plan in self._view.drains.items():
            yield from _wrapped(f"drain {self.name(node)}: {self.plan(plan)}", "")

    def plan(self, plan: KeyPlan | None) -> str:
        if plan is None:
            return "nothing"
        parts = [f"copy to {self.names(plan.copy_to)}"] if plan.copy_to else []
        parts += [f"drop from {self.names(plan.drop_from)}"] if plan.drop_from else []
        parts += [f"blocked, {plan.blocked}"] if plan.blocked else []
        reason = f" ({plan.reason})" if plan.reason else ""
        return "; ".join(parts) + reason


def _presence(node: NodeView) -> str:
    logged = "has it" if node.is_logged else "does not have it"
    match node.answer:
        case None:
            return f"{logged}, by the log"
        case True | False:
            if node.answer is node.is_logged:
                return f"{logged}, it said so"
            return f"{logged} by the log, but it said {'yes' if node.answer else 'no'}"
    return f"{logged} by the log; {_why(node.answer)}"


def _why(error: Exception | bool | None) -> str:
    if isinstance(error, RemoteUnavailable):
        return f"cannot be asked ({error.cause})"
    if isinstance(error, NoSuchRemote):
        return "cannot be asked (not a remote of this repository)"
    return f"cannot be asked ({error})"


def _wish(explanation: Explanation, *, keep: bool) -> str:
    what = "to keep it" if keep else "it"
    if not explanation.configured:
        return f"wants {what}: nothing is configured, so it wants everything"
    wish = f"wants {what}" if explanation.matches else f"does not want {what}"
    text = f"{wish}: {trail(explanation.root)}"
    if explanation.unstable:
        text += f" (not used: {' '.join(explanation.unstable)} must not be negated)"
    return text


def _member(member: Member) -> str:
    choice = "-" if member.rank is None else f"{member.rank}{'*' if member.picked else ''}"
    used = rough_size(member.used or 0)  # None: nothing was ever logged
    limit = "" if member.limit is None else rough_size(member.limit)
    free = "" if member.free is None else f"{round(_PERCENT * member.free)}%"
    return f"{choice:<6} {used:>9} {limit:>8} {free:>5}"


def _wrapped(text: str, indent: str = "  ") -> Sequence[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


# As JSON


def record_of(view: KeyView, names: Names) -> dict[str, JSON]:
    """Give the JSON object."""
    return {
        "key": str(view.key),
        "files": list(view.files),
        "bytesize": view.key.size,
        "numcopies": view.needed.numcopies,
        "mincopies": view.needed.mincopies,
        "outside": [{"uuid": one, "description": names.in_json(one)} for one in view.outside],
        "nodes": [_node_record(node) for node in view.nodes],
        "put": {"nodes": list(view.put.nodes), "reason": view.put.reason},
        **{goal.value: _plan_record(plan) for goal, plan in view.plans.items()},
        "drain": {node: _plan_record(plan) for node, plan in view.drains.items()},
    }


def _node_record(node: NodeView) -> JSON:
    asked = node.answer is not None
    return {
        "uuid": node.uuid,
        "name": node.name,
        "logged": node.is_logged,
        "asked": asked,
        "present": node.answer if isinstance(node.answer, bool) else None,
        "error": _why(node.answer) if asked and not isinstance(node.answer, bool) else "",
        "size": node.size,
        "maxsize": node.max_size,
        "wanted": _explanation_record(node.now),
        "rebalanced": None if node.rebalanced is None else _explanation_record(node.rebalanced),
        "required": None if node.required is None else _explanation_record(node.required),
    }


def _explanation_record(explanation: Explanation) -> JSON:
    return {
        "matches": explanation.matches,
        "configured": explanation.configured,
        "unstable": list(explanation.unstable),
        "expression": _step_record(explanation.root),
    }


def _step_record(step: Step) -> JSON:
    record: dict[str, JSON] = {"kind": step.kind, "text": step.text, "value": step.value}
    if step.parts:
        record["parts"] = [_step_record(part) for part in step.parts]
    if (choice := step.placement) is not None:
        record["placement"] = {
            "group": choice.group,
            "count": choice.count,
            "by-size": choice.by_size,
            "rank": f"{choice.rank:064x}",
            "keeps": choice.keeps,
            "enough": choice.enough,
            "members": [
                {
                    "uuid": member.repo,
                    "size": member.used,
                    "maxsize": member.limit,
                    "free": member.free,
                    "present": member.has_it,
                    "choice": member.rank,
                    "picked": member.picked,
                }
                for member in choice.members
            ],
        }
    return record


def _plan_record(plan: KeyPlan | None) -> JSON:
    if plan is None:
        return None
    return {
        "copy-to": list(plan.copy_to),
        "drop-from": list(plan.drop_from),
        "reason": plan.reason,
        "blocked": plan.blocked,
    }
