"""A small reader of pseudo-Boolean proofs: the steps that ours have, in integers.

It shares nothing with what writes them. A constraint is a map of literals to positive coefficients
(a literal is +v or -v) and a degree; literals of one variable cancel.
"""

from __future__ import annotations

Constraint = tuple[dict[int, int], int]


def refuted(problem: str, proof: str) -> bool:
    """Whether a proof, read step by step, shows that a problem has no solution."""
    known = [_read(line) for line in problem.splitlines() if not line.startswith("*")]
    head, count, *steps = proof.splitlines()
    if head != "pseudo-Boolean proof version 1.0" or count != f"f {len(known)}":
        return False
    for step in steps:
        kind, *words = step.split()
        if kind == "c":
            terms, degree = known[int(words[0]) - 1]
            return degree > sum(terms.values())
        if kind != "p":
            return False
        known.append(_derived(words, known))
    return False


def _read(line: str) -> Constraint:
    left, right = line.removesuffix(" ;").split(" >= ")
    words = left.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return _normal([(int(weight), int(name[1:])) for weight, name in pairs], int(right))


def _normal(terms: list[tuple[int, int]], degree: int) -> Constraint:
    """Over variables with any coefficients: w x = -w (not x) + w."""
    total: dict[int, int] = {}
    for weight, variable in terms:
        total[variable] = total.get(variable, 0) + weight
    degree -= sum(weight for weight in total.values() if weight < 0)
    return {v if w > 0 else -v: abs(w) for v, w in total.items() if w}, degree


def _derived(words: list[str], known: list[Constraint]) -> Constraint:
    stack: list[Constraint | int] = []

    def constraint(value: Constraint | int) -> Constraint:
        return known[value - 1] if isinstance(value, int) else value

    for word in words:
        if word == "+":
            (a, p), (b, q) = constraint(stack.pop()), constraint(stack.pop())
            flat = [(w if v > 0 else -w, abs(v)) for some in (a, b) for v, w in some.items()]
            shift = sum(w for some in (a, b) for v, w in some.items() if v < 0)
            stack.append(_normal(flat, p + q - shift))
        elif word in ("*", "d"):
            factor = stack.pop()
            assert isinstance(factor, int)
            assert factor > 0
            terms, degree = constraint(stack.pop())
            if word == "*":
                stack.append(({v: w * factor for v, w in terms.items()}, degree * factor))
            else:
                divided = {v: -(-w // factor) for v, w in terms.items()}
                stack.append((divided, -(-degree // factor)))
        elif word == "s":
            terms, degree = constraint(stack.pop())
            capped = {v: min(w, degree) for v, w in terms.items() if degree > 0}
            stack.append((capped, degree))
        elif word.startswith("x"):
            stack.append(({int(word[1:]): 1}, 0))
        else:
            stack.append(int(word))
    (end,) = stack
    return constraint(end)
