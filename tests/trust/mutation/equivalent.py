"""Mutants of the kernel's proofs and claims that no test can notice, by file, reason and key."""

from __future__ import annotations

_UNKNOWN = (
    "if not rows or len(rows) < len(self.points) or not (head.one_bank and head.all_nearest):"
)
EQUIVALENT: dict[str, dict[str, tuple[str, ...]]] = {
    "kernel/arithmetic/exact.py": {
        "the two expressions are equal; which is taken up to 1 is a matter of size": (
            (
                "sigmoid: Gt to GtE: return 1 / (1 + (-x).exp()) if x > 0 else x.exp() / "
                "(1 + x.exp())"
            ),
            (
                "sigmoid: one more: return 1 / (1 + (-x).exp()) if x > 0 else x.exp() / "
                "(1 + x.exp())"
            ),
        ),
        "what was decoded is encoded again and compared with the text": (
            "decode_floats: another truth: data = base64.b64decode(text, validate=True)",
        ),
        "0 has any exponent": (
            (
                "float32_integers: one more (2): places = np.where(integers == 0, 0, "
                "exponents.astype(np.int64) - 24)"
            ),
            (
                "float32_integers: one more: places = np.where(integers == 0, 0, "
                "exponents.astype(np.int64) - 24)"
            ),
        ),
        "any unit that is fine enough": (
            "float32_integers: one more (2): shift = max(0, -int(places.min(initial=0)))",
            "float32_integers: one more: shift = max(0, -int(places.min(initial=0)))",
        ),
        "both have one length, whatever the certificate": (
            (
                "float32_integers: another truth: return [n << up for n, up in "
                "zip(integers.tolist(), ups, strict=True)], shift"
            ),
        ),
        "replaced at the first precision": (
            "decided: one more (2): value, sign = arb(0), 0",
            "decided: one more: value, sign = arb(0), 0",
        ),
        "far out, any float that is certainly below will do": (
            "float_below: Gt to GtE: if size > 1000:",
            ("float_below: Gt to GtE: return math.ldexp(1.0, 999) if numerator > 0 else -math.inf"),
            ("float_below: GtE to Gt: return 0.0 if numerator >= 0 else -math.ldexp(1.0, -1000)"),
            "float_below: Lt to LtE: if size < -1000:",
            ("float_below: half (2): return 0.0 if numerator >= 0 else -math.ldexp(1.0, -1000)"),
            "float_below: half: return math.ldexp(1.0, 999) if numerator > 0 else -math.inf",
            "float_below: one less: if size < -1000:",
            "float_below: one less: if size > 1000:",
            ("float_below: one less: return 0.0 if numerator >= 0 else -math.ldexp(1.0, -1000)"),
            ("float_below: one less: return math.ldexp(1.0, 999) if numerator > 0 else -math.inf"),
            (
                "float_below: one more (2): return 0.0 if numerator >= 0 else "
                "-math.ldexp(1.0, -1000)"
            ),
            (
                "float_below: one more (2): return math.ldexp(1.0, 999) if numerator > 0 "
                "else -math.inf"
            ),
            "float_below: one more: if size < -1000:",
            "float_below: one more: if size > 1000:",
            ("float_below: one more: return 0.0 if numerator >= 0 else -math.ldexp(1.0, -1000)"),
        ),
    },
    "kernel/latent/bounded.py": {
        "attributes that are set again": (
            "BoundedDomain.__init__: without Expr: super().__init__(locations, channels)",
        ),
        "any unit that is fine enough": (
            (
                "BoundedDomain.alike: Sub to Add: shift = max(lower[1], 1 if upper is "
                "None else upper[1]).bit_length() - 1"
            ),
            (
                "BoundedDomain.alike: one less (2): shift = max(lower[1], 1 if upper is "
                "None else upper[1]).bit_length() - 1"
            ),
            (
                "BoundedDomain.alike: one less (4): shift = max(lower[1], 1 if upper is "
                "None else upper[1]).bit_length() - 1"
            ),
            (
                "BoundedDomain.alike: one more (2): shift = max(lower[1], 1 if upper is "
                "None else upper[1]).bit_length() - 1"
            ),
        ),
        "the size of numbers, for what is charged": (
            (
                "BoundedDomain.alike: high to low: result.size = limbs(max(abs(low), "
                "abs(high or 0)).bit_length())"
            ),
            (
                "BoundedDomain.alike: max to min: result.size = limbs(max(abs(low), "
                "abs(high or 0)).bit_length())"
            ),
            (
                "BoundedDomain.alike: one more: result.size = limbs(max(abs(low), "
                "abs(high or 0)).bit_length())"
            ),
            (
                "float64_width: one less: least, most = int(exponents.min(initial=53)), "
                "int(exponents.max(initial=0))"
            ),
            "float64_width: one less: return limbs(max(most, 0) + max(53 - least, 0))",
            (
                "float64_width: one more (2): least, most = "
                "int(exponents.min(initial=53)), int(exponents.max(initial=0))"
            ),
            "float64_width: one more (2): return limbs(max(most, 0) + max(53 - least, 0))",
            "float64_width: one more (3): return limbs(max(most, 0) + max(53 - least, 0))",
            "float64_width: one more: _, exponents = np.frexp(values[values != 0])",
            (
                "float64_width: one more: least, most = int(exponents.min(initial=53)), "
                "int(exponents.max(initial=0))"
            ),
            "float64_width: one more: return limbs(max(most, 0) + max(53 - least, 0))",
        ),
        "both have one shape": (
            ("BoundedDomain.around: lower to upper: channels, count = result.channels, lower.size"),
            'BoundedDomain.around: lower to upper: result = cls("reach", *lower.shape)',
        ),
        "both have one length, whatever the certificate": (
            (
                "BoundedDomain.around: another truth: for slopes, (_, bound) in "
                "zip(rows[2:], forms, strict=True)"
            ),
            (
                "BoundedDomain.around: another truth: result._ends = [(low, list(high)) "
                "for low, high in zip(rows[0], rows[1], strict=True)]"
            ),
            (
                "BoundedDomain.outside: another truth: linear = sum(s * n for s, n in "
                "zip(constraint.slope, numerators, strict=True))"
            ),
            (
                "BoundedDomain.outside_jointly: another truth: part = sum(s * n for s, n "
                "in zip(slopes, numerators, strict=True))"
            ),
            (
                "_most: another truth: return sum(max(c * low, c * high) for c, low, "
                "high in zip(slope, lower, upper, strict=True))"
            ),
            (
                "read_bounded: another truth: stated = [(f.reshape(shape), d) for f, d "
                "in zip(forms, bounds, strict=True)]"
            ),
        ),
        "0 over any unit is 0; a box has no slack": (
            (
                "BoundedDomain.local: one more (3): least = around[0] if self.kind == "
                '"sphere" else (0, 1)'
            ),
            "BoundedDomain.outside_jointly: one more (2): total = (0, 1)",
            (
                'read_bounded: one less: return BoundedDomain.alike("box", shape, '
                "hex_ratio(domain.lower), upper, (0, 1))"
            ),
            (
                "read_bounded: one more (2): if not (at_most((0, 1), slack) and slack[0] "
                "< slack[1]):"
            ),
            (
                "read_bounded: one more (2): least = (0, 1) if isinstance(domain, "
                "SimplexDomain) else (-most[0], most[1])"
            ),
            (
                'read_bounded: one more (2): return BoundedDomain.alike("box", shape, '
                "hex_ratio(domain.lower), upper, (0, 1))"
            ),
            (
                'read_bounded: one more: return BoundedDomain.alike("box", shape, '
                "hex_ratio(domain.lower), upper, (0, 1))"
            ),
        ),
        "the constraints of one location have both ends": (
            "_within: high to low: return above and (high is None or at_most(value, high))",
            "_within: low to high: above = low is None or at_most(low, value)",
        ),
        "of no number any unit": (
            (
                "float64_integers: one more (2): shift = max((unit.bit_length() - 1 for "
                "_, unit in ratios), default=0)"
            ),
        ),
    },
    "kernel/latent/bounds.py": {
        "to shift by nothing is the same in both directions": (
            (
                "_floor: GtE to Gt: return int(mantissa) << power if power >= 0 else "
                "int(mantissa) >> -power"
            ),
            (
                "_floor: one more: return int(mantissa) << power if power >= 0 else "
                "int(mantissa) >> -power"
            ),
        ),
        "rows are also made where they are asked for: a matter of speed": (
            (
                "_local_bounds: without Expr: head.gram_rows(prototype for block in "
                "evidence.blocks for prototype in block.facts)"
            ),
            (
                "_with_implied: without Expr: head.gram_rows(entry.via for entry in "
                "entries)  # one product of matrices for all"
            ),
        ),
        "what is charged before the work, and nothing else": (
            "Bounds.__init__: without Expr: self._charge(head, core)",
        ),
    },
    "kernel/latent/case_domain.py": {
        "how long numbers are, which only decides what is charged": (
            (
                "CaseDomain.__init__: Add to Sub (2): self.size = base.size + (self._up + GRID) "
                "// 64 + 1"
            ),
            (
                "CaseDomain.__init__: one less (2): self.size = base.size + (self._up + GRID) "
                "// 64 + 1"
            ),
            ("CaseDomain.__init__: one less: self.size = base.size + (self._up + GRID) // 64 + 1"),
        ),
        "attributes that are set again": (
            ("CaseDomain.__init__: without Expr: super().__init__(base.locations, base.channels)"),
        ),
        "any unit that is fine enough": (
            (
                "CaseDomain.__init__: Sub to Add: self.shift = max([base.shift, "
                "*(unit.bit_length() - 1 for unit in units)])"
            ),
            (
                "CaseDomain.__init__: one less: self.shift = max([base.shift, "
                "*(unit.bit_length() - 1 for unit in units)])"
            ),
        ),
        "the size of numbers, for what is charged": (
            (
                "CaseDomain.__init__: Add to Sub: self.size = base.size + (self._up + "
                "GRID) // 64 + 1"
            ),
            (
                "CaseDomain.__init__: FloorDiv to Mult: self.size = base.size + "
                "(self._up + GRID) // 64 + 1"
            ),
            (
                "CaseDomain.__init__: one more (2): self.size = base.size + (self._up + "
                "GRID) // 64 + 1"
            ),
            ("CaseDomain.__init__: one more: self.size = base.size + (self._up + GRID) // 64 + 1"),
        ),
        "both have one length, whatever the certificate": (
            (
                "_cut: another truth: if any(low > high for low, high in zip(lower, "
                "upper, strict=True)):"
            ),
        ),
    },
    "kernel/latent/case_tree.py": {
        "a leaf is never asked what follows it": (
            "children: returns nothing: return 0",
            "children: one more: return 0",
        ),
        "trees without a node are refused where their leaves are listed": (
            'tree_complaints: without Expr: yield f"{place}: no case"',
        ),
        "twice no case is no case": (
            "tree_complaints: one more: count = sum(1 for _ in leaves(tree.nodes, head))",
        ),
        "what is refused is refused for another reason, too": (
            "tree_complaints: without Continue: continue",
        ),
    },
    "kernel/latent/cases.py": {
        "None is as false as False": ("_Pairs.__contains__: returns nothing: return False",),
        "the better of both margins is taken; whether the second is asked for only says less": (
            "Cases._leaf: one more: if leaf.form is None or margin.sign == 1:",
            "Cases._leaf: one less: if leaf.form is None or margin.sign == 1:",
        ),
        "settled again after the path; before, it only says less": (
            "_follow: without Expr: bounds.settle()",
        ),
        "settled again after the rows; before, it only says less": (
            "Cases._leaf: without Expr: bounds.settle()",
        ),
    },
    "kernel/latent/domain.py": {
        "how long the numbers of a domain without any are, which only decides what is charged": (
            "LatentDomain.__init__: one more (2): self.shift, self.size = 0, 1",
            "LatentDomain.__init__: one less: self.shift, self.size = 0, 1",
        ),
    },
    "kernel/latent/facts.py": {
        "the first of the named ones is compared with itself, too": (
            "_topk_complaints: one less: for j in named[1:]:",
        ),
        "what is known to hold is compared again": (
            "_open: Lt to LtE: tops = [(j, top) for j, top in tops if floors[j] < top]",
        ),
    },
    "kernel/latent/margins.py": {
        "where the sign is open, so is that of twice the slack more, or it is positive": (
            (
                "observed_margin: Lt to LtE: if sign < 0 and slack:  # the true score is "
                "at most so much above the rounded one"
            ),
            (
                "observed_margin: one more: if sign < 0 and slack:  # the true score is "
                "at most so much above the rounded one"
            ),
        ),
    },
    "kernel/latent/measurement.py": {
        "whether some rows are multiplied, or all of them: what is kept is the same": tuple(
            f"Moved.need: {change}: if 2 * len(chosen) > head.prototype_count:"
            for change in ("Gt to GtE", "Gt to Lt", "Mult to Add", "one more", "one less")
        ),
        "how many points are measured at once; what is measured is the same": (
            "Latent._measured: one more: some = max(1, _AT_ONCE // count)",
            "Latent._measured: FloorDiv to Mult: some = max(1, _AT_ONCE // count)",
            "Moved.need: one more: at_once = max(1, _AT_ONCE // head.prototype_count)",
            "Moved.need: FloorDiv to Mult: at_once = max(1, _AT_ONCE // head.prototype_count)",
        ),
        "both say which location is the first": (
            (
                "Latent._closest: In to NotIn: "
                'if prototype in self._nearest or self.head.geometry == "angular":'
            ),
        ),
        "what is not known of all prototypes at once is found out one by one": (
            (
                "Latent.lowest: .floor to .ceiling: "
                "return [self.best(j).floor() for j in range(count)]"
            ),
            "Latent.stays: returns nothing: return self._closest(prototype) not in apart",
            "Moved.need: without Continue: continue",
            "Moved.need: the other branch: if not head.one_bank:",
            "Moved.need: without Not: if not head.one_bank:",
            f"Moved._nearby: Lt to LtE: {_UNKNOWN}",
            f"Moved._nearby: without Not (2): {_UNKNOWN}",
            (
                "Moved._nearby: returns nothing: "
                "return _Nearby(low, rows, frozenset(j for j in less if latent.stays(j, rows)))"
            ),
        ),
        "there are as many of one as of the other": (
            "Latent._firsts: another truth: columns = zip(*self._numerators, strict=True)",
            (
                "Latent._firsts: another truth: for bank, column in "
                "zip(head.prototype_bank, columns, strict=True)"
            ),
            (
                "Moved.need: another truth: for point, row, unit in zip(part, rows, units, "
                "strict=True):"
            ),
            (
                "Moved._nearby: another truth: low = [min(column) for column in "
                "zip(*rows.values(), strict=True)]"
            ),
            (
                "Moved._nearby: another truth: "
                "pairs = enumerate(zip(latent.lowest, low, strict=True))"
            ),
        ),
    },
    "kernel/latent/pooling.py": {
        "of single values both ends are one number, finite or not": (
            (
                "pooled: low to high (2): return low if isinstance(low, fmpq) else "
                "as_ball(low).union(as_ball(high))"
            ),
            "pooled: low to high: if isinstance(low, float) or isinstance(high, float):",
            (
                "pooled: low to high: return low if isinstance(low, fmpq) else "
                "as_ball(low).union(as_ball(high))"
            ),
        ),
        "there are as many": ("_focal: lows to highs: count, largest = len(lows), max(lows)",),
        "both have one length, whatever the certificate": (
            (
                "_focal: another truth: tops = [high - (high + total - own) / count for "
                "high, own in zip(highs, lows, strict=True)]"
            ),
        ),
        "all ends are balls, or none is": (
            "_focal: any to all: if any(isinstance(top, arb) for top in tops):",
        ),
        "only infinite numbers and NaN come so far": (
            (
                "_end: Gt to GtE: return math.inf if number > 0 else -math.inf if number "
                "< 0 else math.nan"
            ),
            (
                "_end: Lt to LtE: return math.inf if number > 0 else -math.inf if number "
                "< 0 else math.nan"
            ),
            (
                "_end: one more (2): return math.inf if number > 0 else -math.inf if "
                "number < 0 else math.nan"
            ),
            (
                "_end: one more: return math.inf if number > 0 else -math.inf if number "
                "< 0 else math.nan"
            ),
        ),
    },
    "kernel/latent/ranges.py": {
        "all locations are alike": (
            "_everywhere: one more: (low, *_), (high, *_) = where.ends(0)",
            "_everywhere: one more: head.boxes[key] = box_ranges(head, where, 0)",
            "_everywhere: one more: return box_ranges(head, where, 0)",
            "_everywhere: returns nothing: return box_ranges(head, where, 0)",
            ("_to_simplex: one more: rule = Lagrangian(head, where, 0, constraints=where.local())"),
        ),
        "ranges over equal boxes are equal: a matter of speed": (
            '_everywhere: NotEq to Eq: if where.kind != "box":',
        ),
        "0 over any unit": (
            (
                "_curved: one less: inner = (unit - numerator, unit) if where.kind == "
                '"sphere" else (0, 1)'
            ),
            (
                "_curved: one more (2): inner = (unit - numerator, unit) if where.kind "
                '== "sphere" else (0, 1)'
            ),
        ),
        "a number that is 0 adds nothing, on whichever side": (
            (
                "_angles: Gt to GtE: above = _root_above((sum(n * n for n in point if n "
                "> 0), unit), (1, 1))"
            ),
            (
                "_angles: Lt to LtE: below = _root_above((sum(n * n for n in point if n "
                "< 0), unit), (1, 1))"
            ),
            (
                "_angles: one more: below = _root_above((sum(n * n for n in point if n < "
                "0), unit), (1, 1))"
            ),
            (
                "_products: Gt to GtE: first, second = (at_high, -n * a) if n > 0 else "
                "(-n * a, at_high)"
            ),
            "_squares: Lt to LtE: elif above < 0:",
            "_squares: Lt to LtE: if below < 0:",
            "_squares: Lt to LtE: near += scale * below * below if below < 0 else 0",
            "_squares: one more: elif above < 0:",
            "_squares: one more: if below < 0:",
            "_squares: one more: near += scale * below * below if below < 0 else 0",
        ),
        "both have one length, whatever the certificate": (
            (
                "_products: another truth: for n, a, b in zip(head.prototype(prototype), "
                "low, high, strict=True):"
            ),
            (
                "_squares: another truth: for d, (n, a, b) in enumerate(zip(point, low, "
                "high, strict=True)):"
            ),
        ),
        "of equal lengths the distance is 0 in both ways": (
            "_less: Lt to LtE: return left[0] * right[1] < right[0] * left[1]",
        ),
        "a step more is an upper bound, too": (
            (
                "_root_above: one more (6): return isqrt((left[0] * right[0] << (2 * "
                "GRID)) // (left[1] * right[1])) + 1"
            ),
        ),
        "any multiplier bounds, and this one is of no size": (
            (
                "_to_simplex: one more (3): multiplier = round(2 * shift_to(point, "
                "nearest) * (1 << _BITS)) if nearest != total else 0"
            ),
        ),
        "over a box there always is one": (
            "_to_simplex: one more (2): 0 if near is None else max(0, grid_floor(near)),",
            "_to_simplex: one more: 0 if near is None else max(0, grid_floor(near)),",
        ),
        "replaced at the first channel": (
            "shift_to: one more (2): running, shift = Fraction(0), Fraction(0)",
        ),
        "then both shifts are one": ("shift_to: LtE to Lt: if x <= excess:",),
    },
    "kernel/latent/relaxation.py": {
        "a place without multipliers has nothing to scale": (
            (
                "Forms._bounded: one more: bare = PlaceMultipliers(location=location, "
                "facts=(), shift=0, mu=(), domain=True)"
            ),
        ),
        "both have one length, whatever the certificate": (
            (
                "Forms._bounded: another truth: for factor, bound in zip(nu, "
                "where.joints, strict=True):"
            ),
        ),
    },
    "kernel/latent/rows.py": {
        "one complaint or several: a block is refused either way": (
            "block_complaints: without Break: break",
        ),
        "over free space all locations are alike": (
            (
                "implied_bounds: one more: rules[via, below] = free_rule(head, free, 0, (via,), "
                "(ends,))"
            ),
        ),
        "a row over free space bounds something, or is refused before": (
            (
                'implied_bounds: without Raise: raise CertificateError("an implied bound '
                'that bounds nothing")'
            ),
        ),
    },
    "kernel/latent/size.py": {
        "the other end is no smaller: fewer are said to be refuted": (
            (
                "_refuted_topk: one more: if beyond == len(order) or above[beyond] >= "
                "_tightest(last)[0]:"
            ),
        ),
        "measured where it is asked for, too: a matter of speed": (
            "_clause: without Expr: moved.need(dict.fromkeys(points, range(count)))",
            "violated_pairs: without Expr: moved.need(dict.fromkeys(moved.points, range(count)))",
        ),
    },
    "kernel/latent/value.py": {
        "the first is compared with itself": (
            "least: one less: for value in exact[1:]:",
            "_least_ball: one less: for value in values[1:]:",
        ),
        "at 0 both branches say the same": (
            "_root_floor: GtE to Gt: if numerator >= 0:",
            "_root_floor: one more: if numerator >= 0:",
            (
                "_grid_below: GtE to Gt: return int(mantissa) << power if power >= 0 else "
                "int(mantissa) >> -power"
            ),
            (
                "_grid_below: one more: return int(mantissa) << power if power >= 0 else "
                "int(mantissa) >> -power"
            ),
        ),
        "how far below everything a number is of which nothing is known": (
            "_grid_below: one more: return -(1 << 4 * GRID)",
            "_grid_below: one more (2): return -(1 << 4 * GRID)",
            "_grid_below: one less (2): return -(1 << 4 * GRID)",
        ),
        "the root of 0 has no sign": (
            "Exact.number: GtE to Gt: return square if self.numerator >= 0 else -square",
            "Exact.number: one more: return square if self.numerator >= 0 else -square",
        ),
        "nothing is as false": (
            "Approximate.rational: returns nothing: return False",
            "less: returns nothing: return False",
        ),
        "any negative number orders alike": (
            "ordered: one more: return -1 if less(left, right) else int(less(right, left))",
        ),
    },
    "kernel/latent/witness.py": {
        "measured where it is asked for, too: a matter of speed": (
            (
                "_measure: BitOr to BitAnd: "
                "moved.need({location: everywhere | own for location, own in local.items()})"
            ),
            (
                "_measure: without AugAssign: everywhere |= "
                "set(range(head.prototype_count)) - set(fact.exempt)"
            ),
            "_measure: without Expr: everywhere.add(fact.prototype)",
            "_measure: without Expr: local[fact.location].add(fact.prototype)",
            (
                "_measure: without Expr: "
                "moved.need({location: everywhere | own for location, own in local.items()})"
            ),
            "witness_complaints: without Expr: _measure(core, moved, witness.rival)",
        ),
        "both have one length, whatever the certificate": (
            (
                "_project: another truth: rows = [[a - b for a, b in "
                "zip(head.prototype(i), base, strict=True)] for i in kept]"
            ),
            (
                "_shifted: another truth: moved = [a * finer + b * coarser for a, b in "
                "zip(here, numerators, strict=True)]"
            ),
            (
                "second_intersection: another truth: product = sum(a * (v - c) for a, v, "
                "c in zip(along, here, centre, strict=True))"
            ),
            (
                "second_intersection: another truth: return Point([v * square - 2 * "
                "product * a for v, a in zip(here, along, strict=True)], square)"
            ),
        ),
        "the length of a direction does not matter": (
            "_reduced: FloorDiv to Mult: return [n // common for n in along]",
            "_reduced: one more: common = math.gcd(*along) or 1",
        ),
        "with nothing kept but a centre, the length of the direction does not matter": (
            "_project: one less: return direction, 1",
            "_project: one more: return direction, 1",
        ),
    },
    "kernel/model/decision.py": {
        "there are three readings": (
            (
                "Decision.__post_init__: one more: if self.routing not in ROUTINGS[: 3 "
                'if self.kind == "tree" else 1]:'
            ),
        ),
        "the root is below no node: that was found out before": (
            (
                "Decision.__post_init__: LtE to Lt: or any(0 <= c <= k for k, n in "
                "enumerate(self.nodes) for c in (n.left, n.right))"
            ),
            (
                "Decision.__post_init__: one more: or any(0 <= c <= k for k, n in "
                "enumerate(self.nodes) for c in (n.left, n.right))"
            ),
        ),
        "weights of 0 are left out": (
            (
                "Decision.least: Gt to GtE: end = _largest([(low if weight > 0 else "
                "high)(j) for j in self.groups[x]], weight)"
            ),
            "Decision.least: Gt to GtE: end = low(x) if weight > 0 else high(x)",
            "_largest: Lt to LtE: if not known or (weight < 0 and len(known) < len(ends)):",
            "_largest: one more: if not known or (weight < 0 and len(known) < len(ends)):",
        ),
    },
    "kernel/necessity.py": {
        "a generator without a complaint": ("contrast: without Expr: yield from ()",),
    },
    "kernel/sufficiency.py": {
        "both have one length, whatever the certificate": (
            (
                "proofs: another truth: for number, (leaf, found) in "
                "enumerate(zip(leaves, domains.parts, strict=True)):"
            ),
        ),
        "which cases are charged; malformed ones are refused": (
            "evidence_complaints: And to Or: if core.evidence.cases and not complaints:",
            "evidence_complaints: without Not: if core.evidence.cases and not complaints:",
        ),
        "of equal margins either": (
            (
                "margins_over: Gt to GtE: if (margin.sign, margin.lower) > "
                "(found[margin.rival].sign, found[margin.rival].lower):"
            ),
            (
                "proved_margins: Lt to LtE: if (margin.sign, margin.lower) < "
                "(worst.sign, worst.lower):"
            ),
        ),
        "what is said": (
            (
                'proved_margins: one less: listed = ", ".join(f"{m.rival} (at least '
                '{m.lower:.6g})" for m in open_[:5])'
            ),
            (
                'proved_margins: one more: listed = ", ".join(f"{m.rival} (at least '
                '{m.lower:.6g})" for m in open_[:5])'
            ),
        ),
        "within one step of the grid a contradiction may be told or not": (
            (
                "_contradictions: .ceiling to .floor: if (low is not None and "
                "here.ceiling() < low) or (high is not None and here.floor() > high):"
            ),
            (
                "_contradictions: .floor to .ceiling: if (low is not None and "
                "here.ceiling() < low) or (high is not None and here.floor() > high):"
            ),
        ),
    },
}
