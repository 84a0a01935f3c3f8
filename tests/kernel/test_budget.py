"""What a check may cost: small files that ask for much are undecided, before the cost is paid."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.schema import BoxDomain
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.arithmetic.exact import round_down
from protoproof.kernel.arithmetic.outward import Range
from protoproof.kernel.budget import MAX_BYTES, MAX_STEPS, Budget, OutOfBudgetError, current, rounds
from protoproof.kernel.claims import words
from protoproof.kernel.encoder import partition as parts
from protoproof.kernel.encoder.affine import Window, _scattered, windows
from protoproof.kernel.encoder.backward import LinearPropagation
from protoproof.kernel.encoder.interval import PER_WALK, IntervalPropagation
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.lagrangian import Lagrangian
from protoproof.kernel.latent.size import _least_from
from protoproof.kernel.latent.value import Exact
from protoproof.kernel.model.chain import Chain, Step
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.symbolic.decisions import _columns
from protoproof.kernel.model.symbolic.expressions import Sum
from tests.support.kernel import hostile
from tests.support.kernel.builders import file, head_of, pair_core, scene, topk_core
from tests.support.kernel.hostile import Files

ROOT = Path(__file__).parents[2]

# a small file, the obligation that asks for too much, and for what
ATTACKS: dict[str, tuple[Callable[[], Files], int, str]] = {
    "measurements": (lambda: hostile.many_measurements(300, 2000), 4, "measurements"),
    "measurements of few locations": (lambda: hostile.many_measurements(40, 4000), 4, "measure"),
    "measurements of few prototypes": (lambda: hostile.many_measurements(170, 200), 4, "measure"),
    "a great many locations": (lambda: hostile.many_measurements(700, 20), 4, "measure"),
    "refutations": (lambda: hostile.many_refutations(4000, 4000), 11, "all refutations"),
    "a padded tensor": (lambda: hostile.large_tensors(1 << 14, 1, None), 5, "a window"),
    "tensors that are all kept": (lambda: hostile.large_tensors(600, 150, 9), 5, "bytes"),
    "layers": (lambda: hostile.many_layers(400), 5, "every layer"),
}


# what costs much before it is refused: in the sweep, and in every run with a part of the budget
LONG = {"tensors that are all kept": (1, 16), "layers": (16, 1)}
# what is refused with a part of the budget as with all of it: reading so large heads takes long
PLENTY = ("a great many locations",)
PART = {
    "measurements of few locations": (8, 8),
    "measurements of few prototypes": (9, 9),
    "a great many locations": (4, 4),
}


@contextmanager
def budgets(
    monkeypatch: pytest.MonkeyPatch, share: tuple[int, int] = (1, 1)
) -> Iterator[list[Budget]]:
    """The budgets of the checks inside: so large a part of a check's steps and bytes."""
    made: list[Budget] = []

    def budget() -> Budget:
        made.append(Budget(MAX_STEPS // share[0], MAX_BYTES // share[1]))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(import_module("protoproof.kernel.check"), "Budget", budget)
        yield made


def undecided(report: CheckReport, number: int, word: str) -> None:
    assert report.status == "incomplete"
    assert words(report.claims) == ()
    assert not [o for o in report.obligations if o.passed is False]
    detail = report.obligations[number - 1].detail
    assert report.obligations[number - 1].passed is None
    assert detail.startswith("too large to be checked")
    assert word in detail


@pytest.mark.parametrize(
    ("name", "share"),
    [
        *((name, (LONG | PART).get(name, (1, 1))) for name in ATTACKS if name not in PLENTY),
        *(
            pytest.param(name, PART.get(name, (1, 1)), marks=pytest.mark.sweep)
            for name in (*LONG, *PLENTY)
        ),
    ],
)
@pytest.mark.trust(47)
def test_small_files_that_ask_for_much_are_undecided(
    name: str, share: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, number, word = ATTACKS[name]
    files = make()
    assert len(files.model) < 1 << 20
    assert len(files.certificate) < 13 << 20
    with budgets(monkeypatch, share) as made:
        undecided(check(files.certificate, files.model), number, word)
    assert made[0].steps < MAX_STEPS // share[0]
    assert made[0].alive <= made[0].peak <= MAX_BYTES // share[1]


@pytest.mark.trust(47)
def test_nothing_is_allocated_before_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    files = hostile.many_measurements(100, 2000)  # 20 million integers
    tracemalloc.start()
    try:
        with budgets(monkeypatch, (9, 9)):
            undecided(check(files.certificate, files.model), 4, "measurements")
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "Tile", "Resize"])
@pytest.mark.trust(25)
def test_operators_that_make_tensors_of_any_size_are_not_walked(kind: str) -> None:
    files = hostile.unknown_operator(kind, [1 << 10] * 4)
    report = check(files.certificate, files.model)
    assert report.status == "incomplete"
    assert "cannot be replayed" in report.obligations[4].detail


@pytest.mark.parametrize(
    ("locations", "channels", "prototypes", "classes", "count"),
    [(49, 512, 100, 10, 4096), (9, 64, 2000, 200, 4096), (1, 1, 20, 100000, 2048),
     (196, 16, 100, 10, 4096), (1, 1, 1, 2, 1 << 18)],
)  # fmt: skip
def test_parts_times_anything_is_limited(
    locations: int, channels: int, prototypes: int, classes: int, count: int
) -> None:
    head = SimpleNamespace(
        location_count=locations, channels=channels, prototype_count=prototypes,
        class_count=classes, chain=Chain([Step("exp")]),
    )  # fmt: skip
    assert count * parts.part_cost(head) > MAX_STEPS  # type: ignore[arg-type]
    assert parts.part_cost(head) < MAX_STEPS // 4  # type: ignore[arg-type]


def test_a_plain_walk_keeps_what_is_needed_and_no_more() -> None:
    def peak(layers: int, keep: bool) -> int:
        graph = Graph(hostile.large_tensors(100, layers, None).model)
        zero = np.zeros((1, 1, 1, 1))
        with Budget().active() as budget:
            found = IntervalPropagation(graph, Range(zero, zero + 1), keep=keep).reach("deep")
        assert 1.0 <= found.high.item() < 1.0 + 1e-9
        assert budget.alive < budget.peak
        return budget.peak

    assert peak(5, False) == peak(80, False)
    tensor = 16 * 201 * 201
    assert peak(80, True) - peak(5, True) == 75 * tensor


def test_layers_are_affordable_up_to_some_number() -> None:
    zero = np.zeros((1, 1, 1, 1))

    def reach(layers: int) -> Range:
        graph = Graph(hostile.many_layers(layers).model)
        return LinearPropagation(graph, Range(zero - 1, zero + 1), None, 1000).reach("deep")

    assert reach(20).high.item() >= 1.0
    with pytest.raises(OutOfBudgetError, match="every layer"):
        reach(300)


def test_refutations_cost_prototypes_and_not_their_squares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def steps(prototypes: int) -> int:
        files = hostile.many_refutations(prototypes, 1)
        with budgets(monkeypatch) as made:
            check(files.certificate, files.model)
        return made[0].steps

    few, some, many = (steps(count) for count in (100, 200, 400))
    assert many - some < 2.2 * (some - few)


def test_the_least_from_a_place_on_is_the_least_of_the_rest() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = [(int(n), int(d)) for n, d in rng.integers(1, 9, (rng.integers(1, 9), 2))]
        order = rng.permutation(len(values)).tolist()
        moved: Any = SimpleNamespace(level=[Exact(*value) for value in values].__getitem__)
        for place, least in enumerate(_least_from(order, moved)):
            assert least == min(round_down(values[j]) for j in order[place:])


HONEST = {
    "pairs": lambda: pair_core(scene(1)),
    "topk": lambda: topk_core(scene(2, grid=(2, 2), bias=None)),
}
SCENES = {"pairs": lambda: scene(1), "topk": lambda: scene(2, grid=(2, 2), bias=None)}


@pytest.mark.parametrize("name", HONEST)
def test_the_same_is_charged_whatever_an_earlier_check_left(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, data = file(HONEST[name]()), SCENES[name]().data
    shared = ModelFile(data)
    with budgets(monkeypatch) as made:
        for model in (shared, shared, data, shared):
            assert check(certificate, model).accepted
    assert len({(budget.steps, budget.alive, budget.peak) for budget in made}) == 1
    assert made[0].steps < MAX_STEPS // 1000


@pytest.mark.parametrize("name", HONEST)
def test_less_than_a_check_costs_is_never_enough_and_never_a_rejection(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the budget ends, the answer is undecided; with all that is needed, accepted."""
    certificate, data = file(HONEST[name]()), SCENES[name]().data
    with budgets(monkeypatch) as made:
        assert check(certificate, data).accepted
    steps, peak = made[0].steps, made[0].peak
    limited = import_module("protoproof.kernel.check")
    limits = [(steps * i // 40, MAX_BYTES) for i in range(41)]
    limits += [(MAX_STEPS, peak * i // 40) for i in range(41)]
    for most in limits:
        monkeypatch.setattr(limited, "Budget", lambda most=most: Budget(*most))
        report = check(certificate, data)
        enough = most[0] >= steps and most[1] >= peak
        assert report.status == ("accepted" if enough else "incomplete")


def test_a_large_head_is_far_from_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 prototypes, 200 classes, 49 locations, 128 channels, and every fact of a location."""
    rng = np.random.default_rng(0)
    here = hostile.tiny(2000, channels=128, side=7)
    here = here.but(
        prototypes=rng.random((2000, 128)).astype(np.float32),
        weight=rng.normal(size=(200, 2000)).astype(np.float32),
    )
    core = hostile.about(here, here.data, rivals=tuple(range(1, 200)))
    with budgets(monkeypatch) as made:
        report = check(file(core), here.data)
    # nothing proves the margins; all that a plain explanation costs is charged
    assert not [o for o in report.obligations if "too large" in o.detail]
    assert 49 * 2000 * 128 < made[0].steps < MAX_STEPS // 10
    assert made[0].peak < MAX_BYTES // 10


def test_recorded_costs_are_repeated() -> None:
    with Budget(max_steps=100, max_bytes=100).active() as budget:
        with current().recorded() as cost:
            current().spend("a", 30)
            current().hold("a", 20)
        assert (budget.steps, budget.alive) == (cost.steps, cost.alive) == (30, 20)
        budget.repeat("b", cost)
        assert (budget.steps, budget.alive) == (60, 40)
        with pytest.raises(OutOfBudgetError, match="41 steps, 40 of 40"), budget.recorded():
            current().spend("c", 41)
        with budget.scope():
            budget.hold("d", 60)
            with pytest.raises(OutOfBudgetError, match="1 bytes, 0 of 100"):
                budget.room("e", 1)
        assert budget.alive == 40


def test_a_loop_is_refused_after_its_first_turn() -> None:
    def run(count: int) -> None:
        for turn in rounds(range(count), count, "a turn"):
            current().spend("a turn", 10)
            turns.append(turn)

    turns: list[int] = []
    with Budget(max_steps=100).active(), pytest.raises(OutOfBudgetError, match="10 times more"):
        run(11)
    assert turns == [0]
    with Budget(max_steps=100).active() as budget:
        run(10)
    assert budget.steps == 100


SCRIPT = """
import resource, sys
from pathlib import Path
from protoproof.kernel import check
certificate, model = (Path(name).read_bytes() for name in sys.argv[1:3])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
report = check(certificate, model)
print(report.status, [o.number for o in report.obligations if o.passed is False])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("megabytes", [16, 64, 150])
@pytest.mark.trust(47)
def test_less_memory_than_the_budget_allows_is_undecided(tmp_path: Path, megabytes: int) -> None:
    """FLINT ends a process that gets no memory, so that large requests are tried before."""
    files = hostile.many_measurements(60, 2000)  # 7 million integers: 600 MB
    (tmp_path / "c.json").write_bytes(files.certificate)
    (tmp_path / "m.onnx").write_bytes(files.model)
    command = [sys.executable, "-c", SCRIPT, "c.json", "m.onnx", str(megabytes << 20)]
    environment = {"PYTHONPATH": str(ROOT / "verifier"), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "incomplete []\n"


def test_the_command_line_says_undecided(tmp_path: Path) -> None:
    files = hostile.many_measurements(300, 2000)
    (tmp_path / "c.json").write_bytes(files.certificate)
    (tmp_path / "m.onnx").write_bytes(files.model)
    command = [sys.executable, str(ROOT / "cli.py"), "check", "c.json", "m.onnx", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert (report["status"], report["exit_code"], report["claims"]) == ("incomplete", 3, [])
    assert "too large to be checked" in report["obligations"][3]["detail"]


def spent(work: Callable[[], object]) -> int:
    """The steps that something charges."""
    budget = Budget()
    with budget.active():
        work()
    return budget.steps


@pytest.mark.parametrize("pad", [50, 400])
def test_padding_is_paid_for_whatever_the_window_makes_of_it(pad: int) -> None:
    image = np.zeros((1, 2, 3, 3))
    window = Window((1, 1), (5000, 5000), (1, 1), (pad,) * 4)
    padded = 2 * (3 + 2 * pad) ** 2
    assert spent(lambda: windows(image, window, 0.0)) >= 32 * padded
    rows = np.zeros((4, 1, 1, 1))
    back = spent(lambda: _scattered(np.zeros((1, 2, 1, 1)), rows, (2, 3, 3), window))
    assert back >= 4 * 32 * padded
    small = Budget(max_bytes=8 * padded)
    with small.active(), pytest.raises(OutOfBudgetError, match="bytes"):
        _scattered(np.zeros((1, 2, 1, 1)), rows, (2, 3, 3), window)


@pytest.mark.parametrize("channels", [3, 40])
def test_a_rule_is_paid_for_by_its_box_even_without_rows(channels: int) -> None:
    here = hostile.tiny(4, channels=channels)
    head = head_of(here.data)
    box = read_domain(BoxDomain(lower=(0.0).hex(), upper=(1.0).hex()), 1, channels)
    rule = spent(lambda: Lagrangian(head, box, 0))
    assert rule >= 2 * channels * 512
    assert spent(lambda: Lagrangian(head, LatentDomain(1, channels), 0)) < rule
    # and rows by the prototypes that become a matrix for each of them
    ends = [((0, 1), (1, 1))] * 2
    bounded = Lagrangian(head, box, 0, (0, 1), ends)
    assert spent(lambda: list(bounded.rows((2,) * 5, ((1, 1),) * 5, 0, 1))) >= 5 * (
        3 * channels * 512 + (1 << 17)
    )


def test_every_walk_is_paid_for_however_small_it_is() -> None:
    files = hostile.large_tensors(1, 1, None)
    graph = ModelFile(files.model).graph
    image = np.zeros((1, 1, 1, 1))

    def walk() -> None:
        IntervalPropagation(graph, Range(image, image), None, keep=False).reach("large")

    assert spent(walk) >= PER_WALK >= 20 << 20


def test_scores_over_many_denominators_are_charged_before_they_are_long() -> None:
    """Every weight becomes as long as the least common multiple of all classes' denominators."""
    count = 200
    place = {term: term for term in range(count)}

    def sums(denominators: list[int]) -> list[Sum]:
        return [Sum(tuple(place), (1,) * count, 0, under) for under in denominators]

    with Budget(max_bytes=1 << 24).active():
        assert _columns(sums([1 << 64] * count), place)[2] == 1 << 64
    odd = [(1 << 64) + 2 * k + 1 for k in range(count)]
    with (
        Budget(max_bytes=1 << 24).active(),
        pytest.raises(OutOfBudgetError, match="a decision"),
    ):
        _columns(sums(odd), place)
