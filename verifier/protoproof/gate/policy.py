"""What a release has to fulfil: a closed, versioned document. What it does not know, it refuses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protoproof.campaign import Limits, Options, Selection

SCHEMA = "protoproof.policy/1"

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class _Closed(BaseModel):
    """Immutable and closed: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class AtLeast(_Closed):
    """A share that must be reached."""

    at_least: Share


class AtMostShare(_Closed):
    """A share that must not be exceeded."""

    at_most: Share


class AtMostCount(_Closed):
    """A number that must not be exceeded."""

    at_most: Count


class Accuracy(_Closed):
    """Share of instances whose prediction is their label; over all, and in every class."""

    at_least: Share | None = None
    per_class_at_least: Share | None = None

    @model_validator(mode="after")
    def _asks(self) -> Accuracy:
        if self.at_least is None and self.per_class_at_least is None:
            raise ValueError("set at_least, per_class_at_least, or both")
        return self


class CertifiedAccuracy(_Closed):
    """Share of instances that are predicted right, and provably so over a region around them."""

    region: Text
    at_least: Share


class ExplanationSize(_Closed):
    """Number of facts of the proved explanations in one vocabulary, and of the numbers in them that
    a person must read."""

    vocabulary: Text
    median_at_most: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    p95_at_most: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    numbers_median_at_most: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    numbers_p95_at_most: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _asks(self) -> ExplanationSize:
        limits = self.model_dump(exclude={"vocabulary"}).values()
        if all(limit is None for limit in limits):  # an option without a value asks nothing
            raise ValueError("set median_at_most, p95_at_most, or those of numbers")
        return self


class Referral(_Closed):
    """Whose prediction a person looks at: a chosen explanation of more than ``facts_over`` facts,
    or with more than ``numbers_over`` numbers to read; and whatever is not proved.

    To be sent to a person is no failure, unless more than the share ``at_most`` of the instances
    is.
    """

    facts_over: Count | None = None
    numbers_over: Count | None = None
    at_most: Share | None = None

    @model_validator(mode="after")
    def _asks(self) -> Referral:
        if self.facts_over is None and self.numbers_over is None:
            raise ValueError("set facts_over, numbers_over, or both")
        return self


class Vacuous(_Closed):
    """Explanations that need nearly every fact there is, and so explain nothing.

    One is vacuous if its facts are at least ``share_of_possible`` of those that its vocabulary
    could need at most: for pairs, at every location as many as channels + 1, or prototypes if these
    are fewer; for activations, one per prototype, and the ceilings; for mixed facts, both.
    ``at_most`` is a share of the proved explanations.
    """

    share_of_possible: Annotated[float, Field(gt=0, le=1)] = 0.9
    at_most: Share


class Duplicates(_Closed):
    """Prototypes with another one within ``squared_distance`` (squared L2; 0: equal vectors).

    Each of two equal prototypes counts. Their weights, and the classes that they belong to, are not
    compared.
    """

    squared_distance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    at_most: Count


class Certificates(_Closed):
    """Every certificate is accepted by the checker; with ``level`` F, each explanation's proof
    holds for every float32 execution of the head, not only over the real numbers (R); with
    ``kernel`` required, the machine-checked kernel proves each explanation's certificate, too."""

    accepted: Literal["all"]
    level: Literal["R", "F"] = "R"
    kernel: Literal["optional", "required"] = "optional"


class BaselineRules(_Closed):
    """Rules about the instances that an earlier campaign has in common with this one.

    ``lost_proofs``: proved then and not now, or certified over a region that both ask for then and
    not now. ``drift``: mean Jaccard distance between the sets of
    prototypes that the explanations named then and now. ``class_loss``: the largest share of a
    class's instances that were predicted right then and are lost on balance. ``first_release``:
    what these rules say where no earlier campaign is given: nothing is compared, which is
    ``undecided``, or ``allowed``.
    """

    lost_proofs: AtMostCount | None = None
    drift: AtMostShare | None = None
    class_loss: AtMostShare | None = None
    first_release: Literal["undecided", "allowed"] = "undecided"

    @model_validator(mode="after")
    def _asks(self) -> BaselineRules:
        if not self.model_fields_set - {"first_release"}:
            raise ValueError("an empty section asks for nothing; set a rule, or remove it")
        return self


class Rules(_Closed):
    """The rules; a missing one is not asked for, except ``undecided``, which is always asked for.

    ``undecided`` bounds the share of instances that are not proved, for whatever reason; by
    default none is allowed.
    """

    accuracy: Accuracy | None = None
    certified_accuracy: Annotated[
        tuple[CertifiedAccuracy, ...] | None,
        Field(
            min_length=1,
            description="Each region (linf:R, l2:R, brightness:R, contrast:R, occlude:...) is "
            "certified around every instance. Certified is an instance that is predicted as "
            "labelled, with a certificate, accepted now, that every input of the region is too.",
        ),
    ] = None
    explanation_size: Annotated[
        tuple[ExplanationSize, ...] | None,
        Field(
            min_length=1,
            description="Over the proved instances; one without a proof in the vocabulary counts "
            "as infinitely large. The 95th percentile is by nearest rank.",
        ),
    ] = None
    referral: Referral | None = None
    witness_share: Annotated[
        AtLeast | None,
        Field(
            description="Of all facts of the proved explanations, the share with a witness: a "
            "latent that meets all other facts and is certainly predicted otherwise."
        ),
    ] = None
    vacuous: Vacuous | None = None
    ambiguous: Annotated[
        AtMostShare | None,
        Field(
            description="Of the proved explanations, the share that name the same prototypes, by "
            "the same kinds of facts at the same locations, as one of an instance that is "
            "predicted another class. Values are not compared. Only facts that are proved "
            "necessary are looked at: needs witnesses."
        ),
    ] = None
    contradictory_prototypes: Annotated[
        AtMostCount | None,
        Field(
            description="Prototypes on which another class has at least the weight of the class "
            "that they belong to, by the network's names: to see one supports its class against "
            "some rivals and opposes it against others. Needs prototype_class in the description."
        ),
    ] = None
    unused_prototypes: Annotated[
        AtMostCount | None,
        Field(
            description="Prototypes with the same weight for every class, and prototypes that over "
            "all instances of the campaign are neither the most activated one of any nor named by "
            "a fact that is proved necessary (needs witnesses). The fewer the instances, the more "
            "are unused."
        ),
    ] = None
    duplicate_prototypes: Duplicates | None = None
    certificates: Certificates | None = None
    undecided: Annotated[
        AtMostShare,
        Field(
            description="Share of the instances that are not proved, for whatever reason: refuted, "
            "undecided, timeout, memory, error, not_run. Always asked for; none by default."
        ),
    ] = AtMostShare(at_most=0.0)
    baseline: BaselineRules | None = None

    @model_validator(mode="after")
    def _asks(self) -> Rules:
        if not any(getattr(self, name) is not None for name in self.model_fields_set):
            raise ValueError("no rule is set, so everything would pass; set at least one")
        return self


class Plan(_Closed):
    """How the campaign behind the gate is run; see ``campaign --help``.

    Without ``per_class`` every instance is explained.
    """

    vocabulary: Text = "auto"
    domain: Text = "free"
    oracle: Text = "auto"
    witnesses: bool = True
    inflate: bool = False
    level: Literal["auto", "R", "F"] = "auto"
    for_reading: bool = False
    per_class: Annotated[int, Field(ge=1)] | None = None
    seed: Count = 0
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    memory: Annotated[int, Field(ge=1)] | None = None

    @property
    def options(self) -> Options:
        """How instances are explained."""
        return Options(
            self.vocabulary,
            self.domain,
            self.oracle,
            self.witnesses,
            self.inflate,
            level=self.level,
            for_reading=self.for_reading,
        )

    @property
    def selection(self) -> Selection:
        """Which instances are explained."""
        return Selection(self.per_class, self.seed)

    @property
    def limits(self) -> Limits:
        """What one instance may cost."""
        return Limits(self.timeout, self.memory)


class Policy(_Closed):
    """A release policy; the JSON schema is ``specs/schema/policy.schema.json``."""

    model_config = ConfigDict(title="Release policy")

    schema_: Annotated[Literal["protoproof.policy/1"], Field(alias="schema")]
    name: Text
    campaign: Plan = Plan()
    rules: Rules


def json_schema() -> dict[str, Any]:
    """The JSON schema of policies."""
    schema = Policy.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
