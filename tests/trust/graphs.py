"""Forged certificates of networks with their graphs.

Model and certificate are changed together, so that every hash is in step: other tensors are named,
latents change places, a weight, an operator, an axis or the encoder is another one, numbers move
between data files, regions grow, boxes shrink, sizes and levels rise, classes and rivals change,
and whole certificates move to other networks or inputs. Files that two readers may read in two ways
are made, too: those must be refused, whatever they say (``refused``). Of everything else that is
accepted, ``truth`` finds out whether it is so.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core
from protoproof.formal import verify
from protoproof.kernel import check
from protoproof.kernel.claims import Necessary, Sufficient
from tests.support.foreign.mutants import Mutant, some, wild
from tests.support.foreign.precise import needed
from tests.trust import forgeries, readings
from tests.trust.networks import Files, Original, in_step
from tests.trust.truth import UnjudgedError, untrue


class Forgery(NamedTuple):
    """Changed files, and in which way; ``refused``: accepting them is wrong, whatever they say."""

    kind: str
    words: str
    files: Files
    refused: bool = False


@dataclass
class Tally:
    """Forgeries tried, by kind; those accepted although true, false, or beyond what is judged."""

    tried: Counter[str] = field(default_factory=Counter)
    harmless: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    asked: int = 0  # of the machine-checked kernel
    proved: list[str] = field(default_factory=list)  # by it, although false


def tried(original: Original, seed: int, most: int, kernel: int = 0) -> Tally:
    """At random ``most`` forgeries of each kind of some honest files.

    ``kernel``: every so-manieth is asked of the machine-checked kernel, too; 0 for none.
    """
    rng, tally = np.random.default_rng(seed), Tally()
    for make in KINDS:
        for number, forgery in enumerate(_few(list(make(original, rng)), most, rng)):
            _judge(original, forgery, rng, tally, bool(kernel) and not number % kernel)
    return tally


def _few(found: list[Forgery], most: int, rng: np.random.Generator) -> list[Forgery]:
    return [found[k] for k in sorted(rng.permutation(len(found))[:most].tolist())]


def _judge(
    original: Original, forgery: Forgery, rng: np.random.Generator, tally: Tally, formal: bool
) -> None:
    tally.tried[forgery.kind] += 1
    files, words = forgery.files, f"{original.name}: {forgery.kind}: {forgery.words}"
    told = check(files.certificate, files.read)
    if formal:
        tally.asked += 1
        said = "" if told.met else _proved_and_untrue(files, rng)
        if said:
            tally.proved.append(f"{words}: {said}")
    if not told.accepted:
        return
    if forgery.refused:
        tally.false.append(words)
        return
    core = read_certificate(files.certificate).core
    same = files.model == original.files.model and files.data == original.files.data
    known = core.instance == original.core.instance and core.domain == original.core.domain
    least = original.least if same and known else None
    try:
        said = untrue(files, core, told.claims, rng, least)
    except UnjudgedError as error:
        if not _same_head(original, files):
            tally.unjudged.append(f"{words}: {error}")
            return
        said = ""
    if said:
        tally.false.append(f"{words}: {said}")
    else:
        tally.harmless[forgery.kind] += 1


def _proved_and_untrue(files: Files, rng: np.random.Generator) -> str:
    """What is false of something that the machine-checked kernel proves and the second reading
    confirms, although the checker in Python rejects it: perhaps for its form alone."""
    try:
        answer = verify(files.certificate, files.read)
    except Exception:  # noqa: BLE001  # of what is rejected nobody makes a proof: nothing is proved
        return ""
    if not answer.proved or answer.left:
        return ""
    core = read_certificate(files.certificate).core
    necessary = (Necessary(w.fact, w.rival) for w in core.witnesses if w.fact in answer.necessary)
    claims = (Sufficient(core.domain, core.facts, "F" if answer.float32 else "R"), *necessary)
    try:
        return untrue(files, core, claims, rng)
    except UnjudgedError as error:
        return f"not judged: {error}"


def _same_head(original: Original, files: Files) -> bool:
    """Whether an honest claim about all latents is made again, of the same operators behind them.

    What the encoder is does not matter for such a claim, and it may be no graph at all.
    """
    core, before = read_certificate(files.certificate).core, original.core
    moved = before.model_copy(update={"model": core.model})
    named = core.model.latent == before.model.latent and core.model.output == before.model.output
    if moved != core or not named or core.domain.kind == "reach" or core.holds is not None:
        return False
    return _about_latents(original.files, before) == _about_latents(files, core)


_SUMS = ("Conv", "Gemm", "MatMul")


def _about_latents(files: Files, core: Core) -> list[bytes]:
    """Operators and stored numbers from the latents to the output, and those that say what the
    latents can be: up to sums of products, which can be anything."""
    model = onnx.load_model_from_string(files.model)
    sums = {name for node in model.graph.node if node.op_type in _SUMS for name in node.output}
    nodes = needed(model, set(core.model.latent), core.model.output)
    for latent in core.model.latent if core.domain.kind != "free" else ():
        nodes += needed(model, sums - {latent}, latent)
    used = {name for node in nodes for name in node.input}
    stored = [t for t in model.graph.initializer if t.name in used]
    return [part.SerializeToString(deterministic=True) for part in (*nodes, *stored)]


# changes of the certificate


def edited(original: Original, change: Callable[[Any], None]) -> Files:
    document = json.loads(original.files.certificate)
    change(document["core"])
    return replace(original.files, certificate=json.dumps(document).encode())


def at(*path: str | int, value: Any) -> Callable[[Any], None]:
    def change(core: Any) -> None:
        for key in path[:-1]:
            core = core[key]
        core[path[-1]] = value(core[path[-1]]) if callable(value) else value

    return change


def fields(original: Original, rng: np.random.Generator) -> Iterator[Forgery]:
    """One value at a time, as of heads without a graph, and the names of tensors with them."""
    for path, content in forgeries.forged(json.loads(original.files.certificate), rng, _FREE):
        yield Forgery("one value", path, replace(original.files, certificate=content))


_FREE: frozenset[forgeries.Path] = frozenset({("tool",), ("domain", "source")})


def names(original: Original, _: np.random.Generator) -> Iterator[Forgery]:
    """Every other tensor of the graph as latent or output; latents that change places."""
    graph = onnx.load_model_from_string(original.files.model).graph
    known = [name for node in graph.node for name in node.output]
    known += [value.name for value in graph.input] + [t.name for t in graph.initializer]
    latents = list(original.core.model.latent)
    for name in dict.fromkeys(known):
        if name != original.core.model.output:
            yield Forgery(
                "names", f"output {name}", edited(original, at("model", "output", value=name))
            )
        for place in range(len(latents)):
            other = [*latents[:place], name, *latents[place + 1 :]]
            if other != latents:
                files = edited(original, at("model", "latent", value=other))
                yield Forgery("names", f"latents {other}", files)
    for other in (latents[::-1], latents[1:], latents * 2):
        if other and other != latents:
            files = edited(original, at("model", "latent", value=other))
            yield Forgery("names", f"latents {other}", files)


def routes(original: Original, _: np.random.Generator) -> Iterator[Forgery]:
    """Another reading of the tree; banks whose latents change places with their names."""
    for word in ("distributed", "greedy", "sample-max", None):
        if word != original.core.model.routing:
            yield Forgery(
                "routing", str(word), edited(original, at("model", "routing", value=word))
            )
    core = original.core
    if len(core.model.latent) < 2:
        return
    flat = base64.b64decode(core.instance.latent)
    half = len(flat) // 2
    for cut in (half, len(flat) // 3 // 4 * 4):
        turned = base64.b64encode(flat[cut:] + flat[:cut]).decode()
        for latents in (list(core.model.latent), list(core.model.latent)[::-1]):

            def change(made: Any, latents: Any = latents, turned: str = turned) -> None:
                made["model"]["latent"], made["instance"]["latent"] = latents, turned

            yield Forgery("routing", f"latents {latents} with other rows", edited(original, change))


def claims(original: Original, _: np.random.Generator) -> Iterator[Forgery]:
    """Another class, rival, label or size; a level that rises."""
    core = json.loads(original.files.certificate)["core"]
    predicted, rivals = core["instance"]["predicted"], core["rivals"]
    for other in range(len(rivals) + 2):
        if other == predicted:
            continue

        def change(made: Any, other: int = other) -> None:
            made["instance"]["predicted"] = other
            made["rivals"] = [k for k in range(len(rivals) + 1) if k != other]
            for part in (*made["evidence"]["forms"], *made["evidence"]["cases"]):
                part["rival"] = predicted if part["rival"] == other else part["rival"]

        yield Forgery("class", f"class {other}", edited(original, change))
    for label in rivals[:8]:
        on = set(core["instance"].get("labels", [])) ^ {label}
        files = edited(original, at("instance", "labels", value=sorted(on)))
        yield Forgery("class", f"labels {sorted(on)}", files)
    for k, contrast in enumerate(core.get("contrasts", [])):
        for other in {predicted, *rivals} - {contrast["rival"]}:
            files = edited(original, at("contrasts", k, "rival", value=other))
            yield Forgery("contrast", f"to {other}", files)
        files = edited(original, at("contrasts", k, "moves", value=lambda moves: moves[1:]))
        yield Forgery("contrast", "a move less", files)
        files = edited(original, at("contrasts", value=lambda found: found * 2))
        yield Forgery("contrast", "twice", files)
    yield from _sizes(original, core)
    yield from _levels(original, core)


def _sizes(original: Original, core: Any) -> Iterator[Forgery]:
    if core.get("size_bound") is None:
        return
    more = [
        {**fact, "lower": "-0x1.0p+60", "upper": "0x1.0p+60"}
        for fact in core["facts"] if fact["kind"] != "ceiling"
    ]  # fmt: skip

    def padded(made: Any, count: int) -> None:
        """More facts than are needed, so that a larger bound fits."""
        named = {(f.get("location"), f["prototype"]) for f in made["facts"] if "prototype" in f}
        place = made["facts"][-1].get("location")
        for j in range(40):
            if len(made["facts"]) >= len(core["facts"]) + count or not more:
                break
            if (place, j) not in named:
                made["facts"].append({**more[0], "prototype": j})
        made["premises"], made["vocabulary"] = "interval", core["vocabulary"]
        made["witnesses"] = []

    def harm(made: Any, count: int, how: str) -> None:
        padded(made, count)
        bound = made["size_bound"]
        for cover in bound["covers"]:
            for node in cover["nodes"]:
                if node["kind"] == "packing" and how == "scale":
                    node["scale"] = max(1, node["scale"] // 4)
                elif node["kind"] == "packing" and how == "weights":
                    node["weights"] = [[k, w * 3] for k, w in node["weights"]]
                elif node["kind"] == "packing" and how == "twice":
                    node["weights"] = [*node["weights"], *node["weights"]]
        if how == "copies":
            size = len(bound["refutations"])
            bound["refutations"] *= 2
            for cover in bound["covers"]:
                for node in cover["nodes"]:
                    if node["kind"] == "packing":
                        node["weights"] += [[k + size, w] for k, w in node["weights"]]
        if how == "fewer covers":
            bound["covers"] = bound["covers"][:-1]
        if how == "ranges":
            for cover in bound["covers"]:
                if cover["ceilings"]:
                    cover["ceilings"] = [cover["ceilings"][0], cover["ceilings"][1] + 1]

    for count in (0, 1, 3):
        for how in ("none", "scale", "weights", "twice", "copies", "fewer covers", "ranges"):
            files = edited(original, lambda made, c=count, h=how: harm(made, c, h))
            yield Forgery("size", f"{how}, {count} facts more", files)
    for vocabulary in ("topk", "ceiling", "pairs", "mixed", "path"):
        yield Forgery("size", vocabulary, edited(original, at("vocabulary", value=vocabulary)))


def _levels(original: Original, core: Any) -> Iterator[Forgery]:
    stated = original.execution
    if core["level"] == "R":
        yield Forgery("level", "F", edited(original, at("level", value="F")))
        forms: list[Any] = [{"form": f} for f in ("direct", "expanded", "product", "angle")]
        for execution in [stated, *forms] if stated else forms:

            def raised(made: Any, execution: Any = execution) -> None:
                made["level"], made["execution"] = "F", execution

            yield Forgery("level", f"F, {execution}", edited(original, raised))
        return
    execution = core["execution"]
    for form in ("direct", "expanded", "product", "angle"):
        if form != execution["form"]:
            files = edited(original, at("execution", "form", value=form))
            yield Forgery("level", form, files)
    for k, error in enumerate(execution.get("functions", [])):
        for word in ("relative", "absolute"):
            for value in (0, error[word] // 2, error[word] + 1):
                if value != error[word]:
                    files = edited(original, at("execution", "functions", k, word, value=value))
                    yield Forgery("level", f"{error['function']} within {value}", files)
    yield Forgery("level", "no function", edited(original, at("execution", "functions", value=[])))
    for shortest in ("0x1.0p-10", "0x1.0p+10", None):
        if shortest != execution.get("shortest"):
            files = edited(original, at("execution", "shortest", value=shortest))
            yield Forgery("level", f"shortest {shortest}", files)


def domains(original: Original, rng: np.random.Generator) -> Iterator[Forgery]:
    """Smaller boxes, larger regions, and words that nobody gave."""
    core = json.loads(original.files.certificate)["core"]
    zero, one = "0x0.0p+0", "0x1.0000000000000p+0"
    small = "0x1.0p-10"
    for domain in (
        {"kind": "free"},
        {"kind": "box", "lower": zero, "upper": one},
        {"kind": "box", "lower": zero, "upper": None},
        {"kind": "box", "lower": "0x1.0p-1", "upper": one},
        {"kind": "box", "lower": zero, "upper": "0x1.0p-1"},
        *({"kind": k, "slack": s} for k in ("sphere", "ball", "simplex") for s in (zero, small)),
    ):
        if domain != core["domain"]:
            yield Forgery("domain", str(domain), edited(original, at("domain", value=domain)))
    yield from _boxes(original, core, rng)
    for place in ("domain", "holds"):
        region = core["domain"].get("region") if place == "domain" else core.get("holds")
        path = ("domain", "region") if place == "domain" else ("holds",)
        if region:
            for words, change in _regions(region):
                yield Forgery("region", words, edited(original, at(*path, value=change)))


def _boxes(original: Original, core: Any, rng: np.random.Generator) -> Iterator[Forgery]:
    """A box around the latent on somebody's word; a walked box that shrinks, grows or moves."""
    v = np.frombuffer(base64.b64decode(core["instance"]["latent"]), "<f4").astype(np.float64)
    for room in (0.0, 1e-3, 10.0):
        ends = [base64.b64encode((v + r).astype("<f8").tobytes()).decode() for r in (-room, room)]
        for source in ("nobody", core["domain"].get("source", "the walk")):
            box = {"kind": "reach", "lower": ends[0], "upper": ends[1], "source": source}
            files = edited(original, at("domain", value=box))
            # nobody has shown that: at most conditional
            yield Forgery("assumption", f"a box of {room}, by {source}", files, refused=True)
    if core["domain"]["kind"] != "reach":
        return
    taken = edited(original, at("domain", "region", value=None))
    yield Forgery("assumption", "a box without its region", taken, refused=True)
    for end, sign in (("lower", 1), ("upper", -1)):
        kept = np.frombuffer(base64.b64decode(core["domain"][end]), "<f8")
        for much in (1e-3, 1e-1, -1e-1):
            other = kept.copy()
            other[int(rng.integers(len(kept)))] += sign * much
            text = base64.b64encode(other.tobytes()).decode()
            yield Forgery(
                "domain", f"{end} by {much}", edited(original, at("domain", end, value=text))
            )
    for much in (None, 0, 1, 1000):
        if much != core["domain"].get("propagated"):
            files = edited(original, at("domain", "propagated", value=much))
            yield Forgery("domain", f"propagated {much}", files)


def _regions(region: Any) -> Iterator[tuple[str, Any]]:
    """Larger regions and other ones."""
    changes: dict[str, Any] = {
        "radius": lambda r: [
            f"{int(r.split('/')[0]) * k}/{r.partition('/')[2] or 1}" for k in (2, 50)
        ],
        "brightness": lambda _: ["1/2", "9/10"],
        "contrast": lambda _: ["1/2", "0"],
        "parts": lambda n: [n + 1, 1],
        "low": lambda _: ["-0x1.0p+1", "0x1.0p-1"],
        "high": lambda _: ["0x1.0p+1", "0x1.0p-1"],
        "rectangle": lambda r: [[r[0], r[1], r[2] + 4, r[3] + 4], [9, 9, 8, 8]] if r else [],
        "kind": lambda k: [{"linf": "l2", "l2": "linf"}.get(k, k)],
        "shape": lambda s: [s[::-1], [1, s[0] * s[1], s[2]]],
        "centre": lambda c: ["A" * len(c) if not c.endswith("=") else "A" * (len(c) - 2) + c[-2:]],
    }
    for word, values in changes.items():
        for value in values(region[word]) if word in region else []:
            if value != region[word]:
                yield f"{word} {str(value)[:40]}", {**region, word: value}


# changes of the model, with its hash in step


def changed(original: Original, change: Callable[[onnx.ModelProto], None]) -> Files:
    model = onnx.load_model_from_string(original.files.model)
    change(model)
    written = bytes(model.SerializeToString(deterministic=True))
    return in_step(replace(original.files, model=written))


def weights(original: Original, rng: np.random.Generator) -> Iterator[Forgery]:
    """One stored number: by its last bit, its sign, or much; two tensors that change places."""
    model = onnx.load_model_from_string(original.files.model)
    stored = [k for k, t in enumerate(model.graph.initializer) if t.raw_data and t.data_type == 1]
    for index in stored:
        tensor = model.graph.initializer[index]
        values = numpy_helper.to_array(tensor).reshape(-1)
        for words, change in _NUMBERS.items():
            place = int(rng.integers(len(values)))

            def other(made: onnx.ModelProto, index: int = index, place: int = place,
                      change: Any = change) -> None:  # fmt: skip
                tensor = made.graph.initializer[index]
                array = numpy_helper.to_array(tensor).copy()
                array.reshape(-1)[place] = change(array.reshape(-1)[place])
                tensor.raw_data = array.astype("<f4").tobytes()

            yield Forgery("a weight", f"{tensor.name}: {words}", changed(original, other))
        for more in stored:
            if more > index and tensor.dims == model.graph.initializer[more].dims:

                def swap(made: onnx.ModelProto, first: int = index, second: int = more) -> None:
                    one, two = made.graph.initializer[first], made.graph.initializer[second]
                    one.raw_data, two.raw_data = two.raw_data, one.raw_data

                yield Forgery("a weight", f"{tensor.name} swapped", changed(original, swap))


_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "next": lambda x: np.nextafter(np.float32(x), np.float32(np.inf)),
    "negated": lambda x: -x,
    "twice": lambda x: 2 * x,
    "much": lambda x: x + np.float32(8),
    "zero": lambda _: np.float32(0),
    "negative zero": lambda _: np.float32(-0.0),
    "infinite": lambda _: np.float32(np.inf),
    "not a number": lambda _: np.array(0xFFC00123, "<u4").view("<f4"),
    "least": lambda _: np.float32(1e-45),
}


def graph_edits(original: Original, rng: np.random.Generator) -> Iterator[Forgery]:
    """Another sign, constant, axis or operator, in head or encoder; graphs that mean nothing."""
    model = onnx.load_model_from_string(original.files.model)
    if original.files.data:
        return
    latents, output = original.core.model.latent, original.core.model.output
    seed = int(rng.integers(1 << 30))
    inputs = tuple(value.name for value in model.graph.input)
    parts: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("head", latents, output),
        *(("encoder", inputs, latent) for latent in latents),
    )
    for word, cuts, end in parts:
        for make in (some, wild):
            for mutant in _mutants(make, model, cuts, end, seed):
                written = bytes(mutant.model.SerializeToString(deterministic=True))
                files = in_step(replace(original.files, model=written))
                yield Forgery(f"an operator of the {word}", mutant.words, files)
    for words, change in _AROUND.items():
        yield Forgery(
            "operators around", words, changed(original, lambda m, c=change: c(m, latents, output))
        )


def _mutants(
    make: Any, model: onnx.ModelProto, cuts: tuple[str, ...], end: str, seed: int
) -> list[Mutant]:
    try:
        return list(make(model, cuts, end, 12, seed))
    except ValueError:  # a part without any operator
        return []


def _renamed(model: onnx.ModelProto, name: str, other: str) -> None:
    """What makes a tensor makes another one instead."""
    for node in model.graph.node:
        node.output[:] = [other if made == name else made for made in node.output]


def _behind(operator: str, name: str) -> Callable[[Any, Any, Any], None]:
    def change(model: onnx.ModelProto, latents: tuple[str, ...], output: str) -> None:
        tensor = {"latent": latents[0], "output": output}[name]
        _renamed(model, tensor, "made_before")
        more = ["made_before"] * (2 if operator in ("Mul", "Sub") else 1)
        node = onnx.helper.make_node(operator, more, [tensor])
        users = [k for k, n in enumerate(model.graph.node) if "made_before" in n.output]
        model.graph.node.insert(users[0] + 1 if users else 0, node)

    return change


def _bypass(model: onnx.ModelProto, latents: tuple[str, ...], output: str) -> None:
    """The output takes the input past the latent."""
    _renamed(model, output, "made_before")
    entry = model.graph.input[0].name
    model.graph.node.append(onnx.helper.make_node("ReduceMax", [entry], ["seen"], keepdims=0))
    model.graph.node.append(onnx.helper.make_node("Mul", ["made_before", "seen"], [output]))


def _first_output(model: onnx.ModelProto, latents: tuple[str, ...], output: str) -> None:
    """Another first output, of the other sign."""
    model.graph.node.append(onnx.helper.make_node("Neg", [output], ["published"]))
    model.graph.output.insert(0, onnx.helper.make_empty_tensor_value_info("published"))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("published", 1, None))


_AROUND: dict[str, Callable[[onnx.ModelProto, tuple[str, ...], str], None]] = {
    **{
        f"{kind} behind the {name}": _behind(kind, name)
        for kind in ("Identity", "Neg", "Mul", "Sub", "Relu", "Softmax", "Exp")
        for name in ("latent", "output")
    },
    "past the latent": _bypass,
    "another first output": _first_output,
}


def data(original: Original, rng: np.random.Generator) -> Iterator[Forgery]:
    """Numbers beside the model: other ones, elsewhere, in another file, or not there."""
    files = original.files
    if not files.data:
        return
    for index, (name, content) in enumerate(files.data):
        for place in rng.integers(len(content), size=6).tolist():
            for bit in (1, 128):
                other = bytearray(content)
                other[place] ^= bit
                changed_data = (*files.data[:index], (name, bytes(other)), *files.data[index + 1 :])
                for step, word in ((True, "in step"), (False, "not in step")):
                    made = replace(files, data=changed_data)
                    made = in_step(made) if step else made
                    yield Forgery("data", f"{name}: bit of byte {place}, {word}", made, not step)
    turned = tuple(
        (name, files.data[(k + 1) % len(files.data)][1]) for k, (name, _) in enumerate(files.data)
    )
    if turned != files.data:
        yield Forgery("data", "files change places", in_step(replace(files, data=turned)))
        yield Forgery("data", "files change places, not in step", replace(files, data=turned), True)
    for more in ((*files.data, ("more.data", b"\0" * 64)), files.data[1:]):
        yield Forgery("data", f"{len(more)} files", in_step(replace(files, data=more)), True)
    model = onnx.load_model_from_string(files.model)
    outside = [k for k, t in enumerate(model.graph.initializer) if t.external_data]
    for index in outside:
        for key, value in (("offset", "4"), ("offset", "00"), ("length", "4"), ("offset", "-4"),
                           ("location", "../0.weights.data"), ("checksum", "0" * 40)):  # fmt: skip

            def elsewhere(made: onnx.ModelProto, index: int = index, key: str = key,
                          value: str = value) -> None:  # fmt: skip
                entries = {e.key: e for e in made.graph.initializer[index].external_data}
                if key in entries:
                    entries[key].value = value
                else:
                    made.graph.initializer[index].external_data.add(key=key, value=value)

            yield Forgery("data", f"{key} {value}", changed(original, elsewhere))
    for one, two in itertools.pairwise(outside):

        def swap(made: onnx.ModelProto, one: int = one, two: int = two) -> None:
            first, second = (made.graph.initializer[k].external_data for k in (one, two))
            for a, b in zip(first, second, strict=True):
                if a.key != "length":
                    a.value, b.value = b.value, a.value

        yield Forgery("data", "places swapped", changed(original, swap))


def twofold(original: Original, rng: np.random.Generator) -> Iterator[Forgery]:
    """Files that two readers may read in two ways: refused, whatever they say."""
    files = original.files
    for words, content in readings.certificates(files.certificate, rng):
        yield Forgery("two readings", words, replace(files, certificate=content), refused=True)
    for words, content in readings.models(files.model, rng):
        made = in_step(replace(files, model=content))
        yield Forgery("two readings", words, made, refused=True)


KINDS: tuple[Callable[[Original, np.random.Generator], Iterator[Forgery]], ...] = (
    fields, names, routes, claims, domains, weights, graph_edits, data, twofold,
)  # fmt: skip
