"""What is signed, as data: an in-toto Statement (v1) with a predicate of our own.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. The predicate counts what the
checker accepted, and apart from it what would hold if somebody's word did, and whose.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, ValidationError

from protoproof.attestation.dsse import first_problem, to_bytes
from protoproof.attestation.merkle import leaf_hash, root
from protoproof.attestation.reading import parsed
from protoproof.certificate.values import Frozen, Index, Sha256, Tensor, Text
from protoproof.errors import InputError
from protoproof.kernel import ModelFile

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://protoproof/attestation/v1"
LEAVES: Final = "protoproof.leaves/1"
PROOF: Final = "protoproof.inclusion/1"
TREE: Final = "RFC 6962, sha256; leaves in ascending order of the certificates' sha256"

_Count = Annotated[int, Field(ge=0, lt=1 << 31)]
_Counts = dict[Text, dict[Text, _Count]]
_Name = Annotated[str, Field(min_length=1, max_length=1024)]


class Leaf(Frozen):
    """One certificate, as the tree knows it. Its canonical JSON is what a leaf is the hash of.

    ``certificate``: sha256 of the file; ``core``: of its canonical core; ``input``: of the input.
    ``claims``: how many of each kind, by level; ``conditions``: what they rest on, and whose word.
    """

    certificate: Sha256
    core: Sha256
    input: Sha256
    status: Literal["accepted", "conditional"]
    claims: _Counts
    conditions: tuple[Text, ...] = ()

    @property
    def hash(self) -> bytes:
        """The leaf's hash in the tree."""
        return leaf_hash(to_bytes(self.model_dump(mode="json")))


class Leaves(Frozen):
    """All leaves, in the tree's order. Not signed: the signed root says whether they are those."""

    schema_: Annotated[Literal["protoproof.leaves/1"], Field(alias="schema")] = LEAVES
    leaves: tuple[Leaf, ...]


class Inclusion(Frozen):
    """One leaf, its place, and the siblings on the way to the root. Not signed either."""

    schema_: Annotated[Literal["protoproof.inclusion/1"], Field(alias="schema")] = PROOF
    leaf: Leaf
    index: Index
    siblings: Annotated[tuple[Sha256, ...], Field(max_length=64)]


class Digest(Frozen):
    """sha256 of a file; of a data set, of its arrays (see ``data/dataset.py``)."""

    sha256: Sha256 | None = None
    arrays_sha256: Sha256 | None = None


class Subject(Frozen):
    """A file that the statement is about."""

    name: _Name
    digest: Digest


class File(Frozen):
    """A file by name, sha256 and size in bytes."""

    name: _Name
    sha256: Sha256
    size: _Count


class Model(Frozen):
    """The network: its file, the data files beside it, and the hash that certificates name."""

    identity: Sha256
    file: File
    data_files: tuple[File, ...] = ()


class Head(Frozen):
    """What the certificates are about: from these tensors to this one, in this reading."""

    latent: tuple[Tensor, ...]
    output: Tensor
    routing: Text | None = None
    certificates: _Count


class Tree(Frozen):
    """The tree over all certificates."""

    algorithm: Literal[
        "RFC 6962, sha256; leaves in ascending order of the certificates' sha256"
    ] = TREE
    size: _Count
    root: Sha256


class Rests(Frozen):
    """Something that is taken on trust, and of how many certificates."""

    on: Text
    certificates: _Count


class Proved(Frozen):
    """How many certificates, about how many different inputs, and how often which claim at which
    level (``claims[level][kind]``)."""

    certificates: _Count
    inputs: _Count
    claims: _Counts


class Conditional(Proved):
    """The same of those that are proved only if somebody's word is true; and whose word."""

    rests: tuple[Rests, ...] = ()


class Policy(Frozen):
    """The policy that the network passes, decided from data and proofs when this was signed."""

    name: Text
    sha256: Sha256
    outcome: Literal["passed"] = "passed"


class Data(Frozen):
    """The data that all inputs are from; on each the encoder was run, and gave the recorded
    latent bit for bit."""

    name: Text
    arrays_sha256: Sha256


class Predicate(Frozen):
    """What was proved when this was signed."""

    tool: Text
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    model: Model
    heads: tuple[Head, ...]
    certificates: Tree
    accepted: Proved
    conditional: Conditional
    assumptions: tuple[Rests, ...]
    data: Data | None = None
    policy: Policy | None = None


class Statement(Frozen):
    """The signed document."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = STATEMENT
    subject: Annotated[tuple[Subject, ...], Field(min_length=1)]
    predicate_type: Annotated[
        Literal["https://protoproof/attestation/v1"], Field(alias="predicateType")
    ] = PREDICATE
    predicate: Predicate


Document = TypeVar("Document", Statement, Leaves, Inclusion)


def plain(document: Statement | Leaves | Inclusion) -> bytes:
    """The canonical bytes of a document."""
    return to_bytes(document.model_dump(mode="json", by_alias=True, exclude_none=True))


def read_as(kind: type[Document], content: bytes, what: str) -> Document:
    """Read a document strictly.

    Raises:
        InputError: it is none of this kind.
    """
    document = parsed(content, what)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{what}: {first_problem(error)}") from error


def tree(leaves: Sequence[Leaf]) -> Tree:
    """The tree over leaves, which are in its order."""
    return Tree(size=len(leaves), root=root([leaf.hash for leaf in leaves]).hex())


def counted(leaves: Iterable[Leaf]) -> tuple[Proved, Conditional]:
    """What leaves add up to: the accepted ones, and apart from them the conditional ones."""
    totals: dict[str, dict[str, Counter[str]]] = {"accepted": {}, "conditional": {}}
    count: Counter[str] = Counter()
    words: Counter[str] = Counter()
    inputs: dict[str, set[str]] = {"accepted": set(), "conditional": set()}
    for leaf in leaves:
        count[leaf.status] += 1
        inputs[leaf.status].add(leaf.input)
        words.update(set(leaf.conditions))
        for stated, kinds in leaf.claims.items():
            totals[leaf.status].setdefault(stated, Counter()).update(kinds)
    claims = {
        status: {level: dict(sorted(each.items())) for level, each in sorted(found.items())}
        for status, found in totals.items()
    }
    return (
        Proved(
            certificates=count["accepted"],
            inputs=len(inputs["accepted"]),
            claims=claims["accepted"],
        ),
        Conditional(
            certificates=count["conditional"],
            inputs=len(inputs["conditional"]),
            claims=claims["conditional"],
            rests=resting(words),
        ),
    )


def resting(words: Counter[str]) -> tuple[Rests, ...]:
    """Sentences, and of how many certificates each is."""
    return tuple(Rests(on=word, certificates=n) for word, n in sorted(words.items()))


def subjects(model: Model, data: Data | None) -> tuple[Subject, ...]:
    """What a statement is about: the network's files, then the data."""
    files = (model.file, *model.data_files)
    found = [Subject(name=file.name, digest=Digest(sha256=file.sha256)) for file in files]
    if data is not None:
        found.append(Subject(name=data.name, digest=Digest(arrays_sha256=data.arrays_sha256)))
    return tuple(found)


def described(model: ModelFile, name: str) -> Model:
    """The network's files."""
    own = hashlib.sha256(model.data).hexdigest()
    return Model(
        identity=model.sha256,
        file=File(name=name, sha256=own, size=len(model.data)),
        data_files=tuple(File(name=n, sha256=sha, size=size) for n, sha, size in model.files),
    )
