"""What a campaign remembers of one instance, and the key under which it is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, NamedTuple, Protocol, get_args

from protoproof.certificate.schema import SCHEMA, CeilingFact, Core, PairFact
from protoproof.explanation.options import ExplainOptions
from protoproof.prover.search.names import STORED
from protoproof.verdict import Status
from protoproof.version import TOOL

State = Literal["proved", "refuted", "undecided", "not_run", "timeout", "memory", "error"]
STATES: tuple[State, ...] = get_args(State)
VOCABULARIES: tuple[str, ...] = get_args(Core.model_fields["vocabulary"].annotation)
STATE_OF: dict[Status, State] = {
    Status.PROVED: "proved",
    Status.REFUTED: "refuted",
    Status.UNKNOWN: "undecided",
}
# What decides latents, proofs and their acceptance; another version may find other facts.
SOLVERS = ("numpy", "scipy", "onnxruntime", "torch", "auto-LiRPA", "python-flint")


@cache
def versions() -> dict[str, str]:
    """The versions that every result depends on: the tool, the certificate's format, solvers."""
    found = {"tool": TOOL, "certificate": SCHEMA}
    for name in SOLVERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an optional one; results without it are others
            found[name] = "none"
    return found


class HeadKey(NamedTuple):
    """Which head of which network results are about, and by what names.

    Attributes:
        model: sha256 of the model file.
        names: sha256 of the text about it.
        latent: the tensors that the head reads.
        output: the output that it decides.
    """

    model: str
    names: str
    latent: tuple[str, ...]
    output: str

    @property
    def head(self) -> tuple[str, tuple[str, ...], str]:
        """The same, whatever its names."""
        return self.model, self.latent, self.output


@dataclass(frozen=True)
class Options:
    """How instances are explained; see :class:`protoproof.explanation.options.ExplainOptions`.

    Two campaigns with equal options share results; any difference asks for new ones.
    """

    vocabulary: str = "auto"
    domain: str = "free"
    oracle: str = "auto"
    witnesses: bool = True
    widen: bool = False
    label: str | None = None
    level: str = "auto"
    compare: bool = False
    for_reading: bool = False

    def __post_init__(self) -> None:
        # two words for one oracle are one option
        object.__setattr__(self, "oracle", STORED.get(self.oracle, self.oracle))

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """Those that are tried."""
        return VOCABULARIES if self.vocabulary == "auto" else (self.vocabulary,)

    def to_json(self) -> dict[str, Any]:
        """Every option by name."""
        return asdict(self)

    def explain(self) -> ExplainOptions:
        """The same for one explanation.

        Raises:
            UsageError: an unknown word.
        """
        return ExplainOptions(**self.to_json())


def alike(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether options of two campaigns lead to the same explanations: what else is certified
    beside them (``compare``) changes none."""
    return {**first, "compare": False} == {**second, "compare": False}


@dataclass(frozen=True)
class Limits:
    """What one instance may cost. ``None`` is no limit.

    Attributes:
        seconds: wall clock; a worker that exceeds it by two seconds is killed.
        megabytes: memory of one worker process, the loaded network included.
    """

    seconds: float | None = 60.0
    megabytes: int | None = None


@dataclass(frozen=True)
class Record:
    """The outcome of one instance. Nothing here depends on time, host or number of workers.

    Attributes:
        state: never merged with another; ``not_run`` is a planned instance without outcome.
        reason: why it is not proved, or empty.
        predicted: the network's class, of labels the one with the largest score, or None where it
            was never observed.
        margin: least observed margin over a rival, or None.
        top: the most activated prototype, or None.
        vocabulary: of the chosen explanation.
        oracle: the one that found it.
        size: number of facts of the chosen explanation.
        numbers: how many a person must read in them.
        possible: the largest number of facts that its vocabulary could need.
        necessary: how many of the facts have an accepted witness.
        sizes: per vocabulary that was tried: status, reason, size, numbers, and ``certificate``,
            the sha256 of the file that proves the size where that is not the chosen explanation's.
        prototypes: those that the chosen explanation names (of a confirmed row: in facts that are
            proved necessary), ascending.
        signature: equal for explanations that name the same prototypes at the same locations.
        certificate: sha256 of the certificate's file.
        core: digest of what the certificate claims.
        limit: the limit that was exceeded (seconds or megabytes), else None.
        level: at which the chosen explanation is proved, R or F; None where none is.
    """

    state: State
    reason: str = ""
    predicted: int | None = None
    margin: float | None = None
    top: int | None = None
    vocabulary: str | None = None
    oracle: str | None = None
    size: int | None = None
    possible: int | None = None
    necessary: int | None = None
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    prototypes: tuple[int, ...] = ()
    signature: str | None = None
    certificate: str | None = None
    core: str | None = None
    limit: float | None = None
    level: str | None = None
    numbers: int | None = None

    def settled(self, limits: Limits) -> bool:
        """See :func:`settled`."""
        return settled(self, limits)


class _Limited(Protocol):
    @property
    def state(self) -> State: ...
    @property
    def limit(self) -> float | None: ...


def settled(result: _Limited, limits: Limits) -> bool:
    """Whether computing a result again under ``limits`` could tell nothing new."""
    now: float | None
    match result.state:
        case "not_run":
            return False
        case "timeout":
            now = limits.seconds
        case "memory":
            now = limits.megabytes
        case _:
            if result.limit is None:
                return True
            now = limits.seconds  # it was proved, and there was no time to look for less
    return now is not None and result.limit is not None and now <= result.limit


@dataclass(frozen=True)
class Row:
    """One planned instance with its outcome: index in the data, label, hash, key, record; and the
    name of its file, where the data is at hand and it has one of its own."""

    index: int
    label: int
    instance: str
    key: str
    record: Record
    file: str = ""

    @property
    def shown(self) -> str:
        """What people call it."""
        return shown_instance(self.index, self.file)

    @property
    def correct(self) -> bool | None:
        """Whether the prediction is the label; None where nothing was predicted."""
        return None if self.record.predicted is None else self.record.predicted == self.label


def shown_instance(index: int, file: str = "") -> str:
    """What people call an instance: by number, and by its file where it has one."""
    return f"instance {index} ({file})" if file else f"instance {index}"


def result_key(
    head: HeadKey,
    instance: str,
    options: Options,
    made_with: Mapping[str, str] | None = None,
) -> str:
    """sha256 over everything that a result depends on.

    Args:
        head: which head of which network is explained.
        instance: sha256 of the input tensor.
        options: how it is explained.
        made_with: the versions that it was made with; :func:`versions` by default.
    """
    return key_of(made_with or versions(), head, instance, options.to_json())


def key_of(*parts: Any) -> str:
    """sha256 over plain data."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def needed(core: Core, necessary: Collection[int]) -> Core:
    """The same with those facts alone that are proved necessary.

    A certificate stays true with any number of facts that are not needed, so whoever may write one
    could name prototypes at will; facts with a witness cannot be added so.
    """
    kept = tuple(fact for index, fact in enumerate(core.facts) if index in necessary)
    return core.model_copy(update={"facts": kept})


def named_prototypes(core: Core) -> tuple[int, ...]:
    """The prototypes that a certificate's facts name one by one (a ceiling names none)."""
    return tuple(sorted({f.prototype for f in core.facts if not isinstance(f, CeilingFact)}))


def signature(core: Core) -> str:
    """What a person sees of an explanation: which prototypes, and where; without any value."""
    seen = sorted(
        (fact.kind, -1, -1)
        if isinstance(fact, CeilingFact)
        else (fact.kind, fact.location if isinstance(fact, PairFact) else -1, fact.prototype)
        for fact in core.facts
    )
    return hashlib.sha256(repr(seen).encode("ascii")).hexdigest()


def possible_facts(core: Core, prototypes: int) -> int:
    """The largest number of facts that a minimal explanation of this vocabulary can have.

    Pairs at one location determine its latent once they span the affine hull of the prototypes:
    no location needs more than channels + 1 of them. Activations: one each, and the ceilings.
    """
    pairs = core.instance.locations * min(prototypes, core.instance.channels + 1)
    named = prototypes + sum(isinstance(fact, CeilingFact) for fact in core.facts)
    return {"pairs": pairs, "mixed": pairs + named}.get(core.vocabulary, named)
