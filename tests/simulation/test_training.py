"""Training on arrays: against the compiled simulator, step by step by hand, and what its random numbers depend on."""

from __future__ import annotations

import numpy as np
import pytest

import sgdtheory as sgd
from sgdtheory import ArgumentError
from sgdtheory.optimizers import RMSProp

X, Y = sgd.blobs(12, 3, 3, rng=0)
NET = sgd.mlp(X, Y, [4])
LINE = sgd.Problem("(y - u*x - v*x**2)**2/2", ["u", "v"], sgd.Dataset(x=[1, 2, -0.5, 0.3], y=[0.3, 0.1, 2, 1]))
RULES = {
    "sgd": sgd.SGD(lr=0.1),
    "schedule": sgd.SGD(lr=0.3 / sgd.step),
    "momentum": sgd.Momentum(lr=0.05, momentum=0.9),
    "ema": sgd.EMAMomentum(lr=0.1, momentum=0.5),
    "nesterov": sgd.Nesterov(lr=0.05, momentum=0.8),
    "rmsprop": RMSProp(lr=0.01, decay=0.9),
    "adam": sgd.Adam(lr=0.02, beta1=0.9, beta2=0.99),
    "slides' adam": sgd.Adam(lr=0.02, beta1=0.9, beta2=0.99, form="slides"),
    "decay": sgd.with_weight_decay(sgd.Nesterov(lr=0.05, momentum=0.5), 0.1),
    "decoupled decay": sgd.with_weight_decay(sgd.Adam(lr=0.02, beta1=0.5, beta2=0.9), 0.1, decoupled=True),
}


@pytest.mark.parametrize("name", RULES)
def test_without_batches_it_is_the_compiled_simulator(name: str) -> None:
    """The same rule on the exact gradient, from the same start, through the other of the two engines."""
    start = np.array([[1.0, -0.5], [0.2, 2.0]])
    run = sgd.train(sgd.numeric_loss(LINE), RULES[name], steps=30, init=start)
    other = sgd.simulate(LINE.population(), RULES[name], steps=30, replicas=2, init=start, rng=0)
    np.testing.assert_allclose(run.w, other.w, rtol=1e-10, atol=1e-12)


def test_every_step_follows_from_the_last() -> None:
    """The batch's gradient is taken at the look-ahead; positions and buffers are the rule's, by hand."""
    lr, mu = 0.1, 0.7
    made = sgd.training_steps(NET, sgd.Nesterov(lr=lr, momentum=mu), steps=5, replicas=2, batch_size=3, rng=1)
    velocity, last = 0.0, None
    for number, step in enumerate(made, 1):
        assert step.number == number
        assert step.batch is not None
        assert step.batch.shape == (2, 3)
        assert last is None or (step.start == last).all()
        expected = NET.gradient(step.start - mu * velocity, step.batch)
        np.testing.assert_allclose(step.gradient, expected, rtol=1e-12, atol=1e-15)
        velocity = mu * velocity + lr * step.gradient
        np.testing.assert_allclose(step.memory[0], velocity, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(step.end, step.start - velocity, rtol=1e-12)
        last = step.end


def test_a_run_depends_on_its_seed_and_replica_alone() -> None:
    """More replicas, more steps, fewer records: the same numbers, bit by bit; another seed: others."""
    rule = RULES["momentum"]
    run = sgd.train(NET, rule, steps=150, replicas=2, batch_size=4, sampling="reshuffle", rng=5)
    longer = sgd.train(NET, rule, steps=200, replicas=4, batch_size=4, sampling="reshuffle", record=[0, 7, 150], rng=5)
    np.testing.assert_array_equal(run.w.sel(step=[0, 7, 150]), longer.w[:2])
    np.testing.assert_array_equal(run.loss[:, -1], NET.value(run.w[:, -1]))
    other = sgd.train(NET, rule, steps=1, replicas=2, batch_size=4, sampling="reshuffle", rng=6)
    assert (run.w[:, 0].values != other.w[:, 0].values).any(axis=1).all()
    assert (run.w[0, 0].values != run.w[1, 0].values).any()


@pytest.mark.parametrize("sampling", ["reshuffle", "one epoch"])
def test_an_epoch_takes_every_example_once(sampling: str) -> None:
    made = sgd.training_steps(NET, RULES["sgd"], steps=2, replicas=3, batch_size=5, sampling=sampling, rng=0)
    first, second = (step.batch for step in made)
    assert first is not None
    assert second is not None
    for rows in np.concatenate([first, second], axis=1):
        assert len(set(rows)) == 10  # of 12; the last two, an incomplete batch, are dropped
    assert len({tuple(row) for row in first}) == 3


def test_samplings_without_memory() -> None:
    """With replacement every number is as likely (χ², a false alarm in 10⁹); without, none comes twice in a batch."""
    made = sgd.training_steps(NET, RULES["sgd"], steps=500, batch_size=20, rng=2, init=np.zeros(NET.dimension))
    counts = np.bincount(np.concatenate([step.batch[0] for step in made if step.batch is not None]), minlength=12)
    from scipy.stats import chi2

    assert ((counts - counts.mean()) ** 2).sum() / counts.mean() < chi2.isf(1e-9, 11)
    made = sgd.training_steps(NET, RULES["sgd"], steps=20, batch_size=11, sampling="without replacement", rng=2)
    sets = [frozenset(step.batch[0].tolist()) for step in made if step.batch is not None]
    assert {len(s) for s in sets} == {11}
    assert len(set(sets)) > 1


def test_injected_noise_is_the_rules() -> None:
    """Langevin without a slope: steps are √(2ηT) times standard normal numbers, other ones for every replica."""
    flat = sgd.custom_loss(lambda w: 0 * w.sum(axis=-1), np.zeros_like, 50)
    run = sgd.train(flat, sgd.Langevin(lr=0.5, temperature=4.0), steps=40, replicas=2, init=np.zeros(50), rng=0)
    moves = run.w.diff("step").values.ravel() / 2
    assert abs(moves.mean()) < 6.2 / np.sqrt(moves.size)  # a false alarm in 10⁹
    assert abs(moves.var() - 1) < 6.2 * np.sqrt(2 / moves.size)
    assert abs(np.corrcoef(moves.reshape(2, -1))[0, 1]) < 6.2 / np.sqrt(moves.size / 2)


def test_what_diverges_is_counted_and_kept() -> None:
    loss = sgd.numeric_loss(sgd.landscape("w**4", ["w"]))
    run = sgd.train(loss, sgd.SGD(lr=0.1), steps=20, init=[[10.0], [0.1]])
    assert run.attrs["diverged"] == 1
    lost = int(run.diverged_at[0])
    assert 0 < lost < 20
    assert np.isfinite(run.w[0, :lost]).all()
    assert np.isposinf(run.w[0, lost:]).all()
    assert np.isfinite(run.w[1]).all()


def test_observables_are_recorded() -> None:
    test = NET.on(X[::-1], Y[::-1])
    run = sgd.train(NET, RULES["adam"], steps=6, record=3, observables={"right": test.accuracy}, rng=0)
    np.testing.assert_array_equal(run.right, NET.accuracy(run.w.values))
    assert run.attrs["optimizer"] == "Adam"
    assert run.attrs["beta1"] == 0.9


def test_how_near_to_instability_a_run_is_stands_in_its_attributes() -> None:
    loss = sgd.numeric_loss(sgd.landscape("3*u**2/2 + v**4", ["u", "v"]))
    run = sgd.train(loss, RULES["nesterov"], steps=3, init=[1.0, 1.0])
    assert run.attrs["lr_sharpness_start"] == pytest.approx(0.05 * 12)
    assert run.attrs["lr_sharpness_end"] == pytest.approx(0.05 * float(loss.sharpness(run.w[0, -1])))
    assert run.attrs["stability_limit"] == pytest.approx(2 * 1.8 / 2.6)
    assert np.isnan(sgd.train(loss, RULES["schedule"], steps=1, init=[1.0, 1.0]).attrs["lr_sharpness_end"])


def test_training_teaches() -> None:
    x, y = sgd.spirals(60, rng=0)
    net = sgd.mlp(x, y, [12, 12])
    run = sgd.train(net, sgd.Adam(lr=0.02, beta1=0.9, beta2=0.999), steps=400, batch_size=20, record=400, rng=0)
    assert float(run.loss[0, -1]) < 0.3 * float(run.loss[0, 0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"optimizer": sgd.SGD}, "call it"),
        ({"optimizer": sgd.SGD()}, "lr"),
        ({"optimizer": sgd.SGD(lr=[0.1, 0.2])}, "one value"),
        ({"optimizer": sgd.SGD(lr=0.3 - 0.1 * sgd.step)}, "step 4"),
        ({"batch_size": 13, "sampling": "reshuffle"}, "batch_size"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 5, "sampling": "one epoch"}, "at most 2"),
        ({"sampling": "bootstrap"}, "sampling"),
        ({"init": [1.0]}, "init"),
        ({"init": np.zeros((2, NET.dimension)), "replicas": 3}, "init"),
        ({"init": np.full(NET.dimension, np.inf)}, "init"),
        ({"observables": {"loss": NET.value}}, "observables"),
        ({"record": [3, 2]}, "record"),
        ({"steps": -1}, "steps"),
        ({"rng": "seed"}, "rng"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], match: str) -> None:
    arguments: dict[str, object] = {"loss": NET, "optimizer": sgd.SGD(lr=0.1), "steps": 10}
    with pytest.raises(ArgumentError, match=match):
        sgd.train(**(arguments | change))  # type: ignore[arg-type]


def test_a_loss_must_be_able_to_start_and_to_be_sampled() -> None:
    loss = sgd.numeric_loss(sgd.landscape("w**4", ["w"]))
    with pytest.raises(ArgumentError, match="init"):
        sgd.train(loss, sgd.SGD(lr=0.1), steps=1)
    with pytest.raises(ArgumentError, match="no mean over examples"):
        sgd.train(loss, sgd.SGD(lr=0.1), steps=1, init=[1.0], batch_size=1)
