"""Orders of examples: every one once, repeated augmentation, and going on in the middle of an epoch."""

import json

import numpy as np
import pytest

from keras_resnet.learning import Sampler
from tests.quick import quick_on_torch


@quick_on_torch
def test_every_example_once_in_another_order():
    sampler = Sampler(10, 4, seed=1)
    epochs = [list(sampler), list(sampler)]
    assert [len(batch) for batch in epochs[0]] == [4, 4, 2]
    orders = [np.concatenate(epoch) for epoch in epochs]
    for order in orders:
        assert sorted(order) == list(range(10))
    assert (orders[0] != orders[1]).any()
    assert (orders[0] == Sampler(10, 4, seed=1).order(0)).all()
    assert (orders[0] != Sampler(10, 4, seed=2).order(0)).any()
    assert [len(batch) for batch in Sampler(10, 4, drop_remainder=True)] == [4, 4]
    assert np.concatenate(list(Sampler(10, 4, shuffle=False))).tolist() == list(range(10))


@quick_on_torch
def test_repeated_augmentation():
    sampler = Sampler(10, 6, repeats=3)
    batches = list(sampler)
    assert [len(batch) for batch in batches] == [6, 4]
    order = np.concatenate(batches)
    assert (order[:9].reshape(3, 3) == order[:9:3, None]).all()
    assert len(set(order)) == 4
    assert set(order) != set(np.concatenate(list(sampler)))


@quick_on_torch
def test_it_goes_on_where_it_was():
    sampler, whole = Sampler(10, 4, seed=3), Sampler(10, 4, seed=3)
    expected = [*whole, *whole]
    found = list(sampler)
    for batch in sampler:
        found.append(batch)
        break
    state = json.loads(json.dumps(sampler.state()))
    other = Sampler(10, 4, seed=3)
    other.set_state(state)
    found += list(other)
    assert [one.tolist() for one in found] == [one.tolist() for one in expected]
    assert (other.epoch, other.batch) == (2, 0)
    other.go_to(1, 2)
    assert [one.tolist() for one in other] == [expected[5].tolist()]
    with pytest.raises(ValueError, match=r"The state is of a sampler with \{'seed': 3\}"):
        Sampler(10, 4, seed=4).set_state(state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(count=0), "`count` must be an integer of at least 1"),
        (dict(repeats=0), "`repeats` must be an integer of at least 1"),
        (dict(seed=-1), "`seed` must be an integer"),
        (dict(batch_size=20, drop_remainder=True), "An epoch of 10 examples has no whole batch of 20"),
    ],
)
def test_bad_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampler(**{"count": 10, "batch_size": 4, **settings})
