"""What an audit report says: frozen plain data, filled by the caller, rendered by ``audit_html``.

As in ``page``, nothing here is computed from a proof; every verdict was the checker's or the
gate's before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protoproof.campaign.signal import Signal
from protoproof.report.page.page import Image


@dataclass(frozen=True)
class Heat:
    """A place of the latent grid in the picture's own units, and how many facts look there."""

    x: float
    y: float
    width: float
    height: float
    facts: int
    opacity: float


@dataclass(frozen=True)
class Step:
    """One part of the observed margin over the closest rival, and what it adds."""

    label: str
    value: float


@dataclass(frozen=True, eq=False)
class AuditInstance:
    """One instance of the campaign.

    Attributes:
        index: in the data.
        label: name of the labelled class.
        predicted: name of the predicted class, or None where there was no prediction.
        correct: whether they are the same, or None.
        state: as the campaign recorded it.
        reason: why it is not proved, or empty.
        accepted: whether the checker accepted the certificate again for this report; None where
            there is none.
        rejected: whether it is false, altered or lost: not accepted, and not only undecided.
        conditional: whether it is proved only if somebody's word is true.
        size, numbers, necessary, vocabulary: of the explanation, or None.
        picture: the input, or None where the data was not at hand.
        heat: where the facts look.
        sentences: the facts in words, with intervals.
        rival: name of the closest rival.
        observed: margin over it.
        proved: the smallest proved margin over any rival, or None.
        steps: how the observed margin adds up.
        certificate: (file name, sha256), or None.
        file: the input's file, where it has one.
    """

    index: int
    label: str
    predicted: str | None
    correct: bool | None
    state: str
    reason: str
    accepted: bool | None = None
    rejected: bool = False
    conditional: bool = False
    size: int | None = None
    numbers: int | None = None
    necessary: int | None = None
    vocabulary: str | None = None
    picture: Image | None = None
    heat: tuple[Heat, ...] = ()
    sentences: tuple[str, ...] = ()
    rival: str = ""
    observed: float | None = None
    proved: float | None = None
    steps: tuple[Step, ...] = ()
    certificate: tuple[str, str] | None = None
    file: str = ""


@dataclass(frozen=True, eq=False)
class AuditPrototype:
    """One prototype: whose it is, what it looks like, who names it, what is odd about it."""

    index: int
    owner: str | None
    patch: Image | None
    origin: str
    used_by: tuple[int, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditClass:
    """Results of one labelled class."""

    name: str
    instances: int
    correct: int
    proved: int
    others: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class AuditCheck:
    """One check of a policy."""

    id: str
    status: str
    measured: str
    limit: str


@dataclass(frozen=True)
class AuditGate:
    """The policy's answer.

    Attributes:
        outcome: of the policy, decided here (``again``); else as ``gate.json`` says; "" where
            there is none.
        policy, sha256: its name, and that of its file.
        checks: likewise.
        again: whether it was decided again for this report, from results found out again.
        said: what ``gate.json`` says, where it was decided again and there is one.
        uncompared: outcomes that rules about a baseline could still lead to, which are open here.
        file: of the policy that was decided again.
        why: why it was not decided again.
    """

    outcome: str
    policy: str
    sha256: str
    checks: tuple[AuditCheck, ...]
    again: bool = False
    said: str = ""
    why: str = ""
    uncompared: tuple[str, ...] = ()
    file: str = ""

    @property
    def passed(self) -> bool:
        """Whether the policy is passed, by what was found out here."""
        return self.again and self.outcome == "passed"

    @property
    def contradicted(self) -> bool:
        """Whether ``gate.json`` says something else than what was found out here.

        It does not where it says what a comparison that was not made here may have led to.
        """
        return self.again and self.said not in ("", self.outcome, *self.uncompared)


@dataclass(frozen=True)
class AuditRegion:
    """Results over one region around every instance.

    Attributes:
        name: as users wrote it.
        certified: right, and provably so: certificates that were accepted again for this report.
        refuted: an input of the region is predicted otherwise.
        open: neither proved nor refuted, among those that are predicted right.
        total: instances.
        rejected: certificates that are false, malformed, altered, or about something else.
        norm: ``linf`` or ``l2`` where it is a ball, else None.
        radius: of the ball, else None.
    """

    name: str
    certified: int
    refuted: int
    open: int
    total: int
    rejected: int = 0
    norm: str | None = None
    radius: float | None = None


@dataclass(frozen=True, eq=False)
class AuditCounterexample:
    """An input of a region that is predicted otherwise than the instance in its middle.

    ``original`` is the instance, and ``largest`` the largest change of an input number.
    """

    index: int
    region: str
    predicted: str
    instead: str
    original: Image
    picture: Image
    largest: float


@dataclass(frozen=True, eq=False)
class AuditPage:
    """Everything in the report, in the order in which reviewers read it.

    Attributes:
        gate: the gate's answer, or None where no policy was applied.
        states: (state, count) of every state that occurs.
        identity: (word, value) about model, data and campaign.
        claim, domain, level: sentences.
        sizes: per vocabulary, the sizes of all proved explanations.
        use: per class (row) and prototype (column), how many explanations of instances that are
            predicted so name the prototype.
        instances: those with a section of their own; ``unlisted`` more have none.
        counterexamples: that refute regions, a few of each; ``hidden`` more are not shown.
        wrong: those worth a look: predicted wrongly, refuted or not proved.
        recheck: commands that check again.
        rejected: certificates that are false, malformed, altered, lost, or about something else.
        conditional: certificates that prove something only if somebody's word is true.
        undecided: certificates about which the checker or ONNX Runtime came to no answer.
        made: when the report was made, in words; empty where nobody says.
        open: explanations and regions without an answer, whether or not there is a certificate.
    """

    title: str
    tool: str
    gate: AuditGate | None
    states: tuple[tuple[str, int], ...]
    total: int
    correct: int
    accepted: int
    rejected: int
    identity: tuple[tuple[str, str], ...]
    claim: tuple[str, ...]
    domain: str
    level: str
    regions: tuple[AuditRegion, ...]
    classes: tuple[AuditClass, ...]
    sizes: tuple[tuple[str, tuple[int, ...]], ...]
    signal: Signal
    facts: int
    necessary: int
    prototypes: tuple[AuditPrototype, ...]
    use: tuple[tuple[int, ...], ...]
    class_names: tuple[str, ...]
    instances: tuple[AuditInstance, ...]
    unlisted: int
    counterexamples: tuple[AuditCounterexample, ...]
    hidden: int
    wrong: tuple[AuditInstance, ...]
    assumptions: tuple[str, ...]
    limits: tuple[str, ...]
    recheck: tuple[str, ...]
    missing: tuple[str, ...] = field(default_factory=tuple)
    conditional: int = 0
    undecided: int = 0
    open: int = 0
    made: str = ""

    @property
    def exit_code(self) -> int:
        """0 everything is proved again, 1 a certificate is false or lost, 3 something is open.

        What rests on somebody's word, what was not decided, and what has no certificate is open;
        so is a policy's answer that was not decided again, or is another one than was told.
        """
        gate = self.gate
        if self.rejected or (gate is not None and gate.again and gate.outcome == "failed"):
            return 1
        told = gate is not None and (not gate.passed or gate.contradicted)
        return 3 if self.unaccepted or self.open or told else 0

    @property
    def unaccepted(self) -> int:
        """How many certificates were not accepted, for whatever reason."""
        return self.rejected + self.conditional + self.undecided

    def count(self, state: str) -> int:
        """How many instances are in a state."""
        return dict(self.states).get(state, 0)
