"""The lower bound of a size as a pseudo-Boolean problem and a proof that checkers of others read.

The problem, in the OPB format, has a variable per fact: every clause has a member, and fewer facts
than the bound are chosen. It has no solution. The proof, in the VeriPB format (version 1.0, steps
in reverse Polish notation), is the certificate's tree of cases, a step per node:

* a *packing* adds its clauses, weighted, and the limit on the number of facts, scaled. No fact that
  is still possible carries more than the scale, so what is left for it is at most 0 and is taken
  off with ``x >= 0``. What remains is about the facts of the case alone: saturated and divided by
  its degree, it says that the case does not occur;
* a *split* adds what its two cases say: the fact cancels, and saturation leaves the case above.

The last constraint is 0 >= 1. That the clauses hold is for the checker of certificates to say: they
come from latents. Reference: S. Gocht, "Certifying Correctness for Combinatorial Algorithms by
Using Pseudo-Boolean Reasoning", Lund University, 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from protoproof.certificate.schema import Core
from protoproof.certificate.trees import Node, Packing
from protoproof.kernel.arithmetic.exact import decode_floats
from protoproof.kernel.latent.domain import read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.size import clauses as said
from protoproof.kernel.latent.size import concluded
from protoproof.kernel.model.file import ModelFile
from protoproof.kernel.statement import stated_head


def size_files(core: Core, model: ModelFile) -> dict[str, str]:
    """Problem and proof of a certificate's lower bound, by the ending of their file's name.

    None of ``ceiling``, which has a tree per ceiling, of ``topk``, which needs none, and where the
    bound is no more than 1. The clauses are those that the checker reads off the latents.
    """
    bound = core.size_bound
    if bound is None or len(bound.covers) != 1 or bound.covers[0].ceilings is not None:
        return {}
    here, head = core.instance, stated_head(core, model).head
    latent = Latent(head, decode_floats(here.latent, here.locations * here.channels, np.float32))
    found = said(core, read_domain(core.domain, here.locations, here.channels), latent)
    least = concluded(core, found, head.prototype_count)
    clauses, nodes = [clause.facts for clause in found], bound.covers[0].nodes
    if least < 2:
        return {}
    return {".opb": problem(clauses, least), ".pbp": proof(clauses, nodes, least)}


def problem(clauses: Sequence[frozenset[int]], bound: int) -> str:
    """That fewer than ``bound`` facts meet every clause, as OPB; variable x(f + 1) is fact f."""
    facts = sorted(frozenset[int]().union(*clauses))
    lines = [f"* #variable= {max(facts, default=-1) + 1} #constraint= {len(clauses) + 1}"]
    lines += [_sum(1, sorted(clause), 1) for clause in clauses]
    lines.append(_sum(-1, facts, 1 - bound))
    return "\n".join(lines) + "\n"


def proof(clauses: Sequence[frozenset[int]], nodes: Sequence[Node], bound: int) -> str:
    """Why there is no solution; ``nodes`` are a tree of a certificate that proves ``bound``.

    (Of a tree that proves less the steps are written too, and no checker accepts them.)
    """
    facts = frozenset[int]().union(*clauses)
    lines = ["pseudo-Boolean proof version 1.0", f"f {len(clauses) + 1}"]
    last = len(clauses) + 1  # number of the limit, and of whatever was derived last

    def case(rest: Iterator[Node], inside: frozenset[int], outside: frozenset[int]) -> int:
        nonlocal last
        node = next(rest)
        if isinstance(node, Packing):
            step = _packed(clauses, facts, node, inside, outside, bound)
        else:
            with_it = case(rest, inside | {node.fact}, outside)
            without = case(rest, inside, outside | {node.fact})
            step = f"{with_it} {without} + s"
        lines.append(f"p {step}")
        last += 1
        return last

    end = case(iter(nodes), frozenset(), frozenset())
    return "\n".join([*lines, f"c {end} 0"]) + "\n"


def _packed(
    clauses: Sequence[frozenset[int]],
    facts: frozenset[int],
    node: Packing,
    inside: frozenset[int],
    outside: frozenset[int],
    bound: int,
) -> str:
    """The step of a leaf, in reverse Polish notation."""
    load = dict.fromkeys(facts, -node.scale)
    total = node.scale * (1 - bound + len(inside & facts))
    step = f"{len(clauses) + 1} {node.scale} *"
    for index, weight in node.weights:
        if weight:
            step += f" {index + 1} {weight} * +"
            total += weight
            for fact in clauses[index]:
                load[fact] += weight
    for fact in sorted(facts - inside):
        if load[fact] < 0:
            step += f" x{fact + 1} {-load[fact]} * +"
    return f"{step} s {max(total, 1)} d"


def _sum(weight: int, facts: Sequence[int], least: int) -> str:
    terms = " ".join(f"{weight:+d} x{fact + 1}" for fact in facts)
    return f"{terms} >= {least} ;"
