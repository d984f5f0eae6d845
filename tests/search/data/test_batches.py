from __future__ import annotations

import pytest
import torch

from search.data.augment import Mix, preset
from search.data.batches import Batches, Views, gather
from search.data.cache import Pixels
from search.data.sample import Part


def batches(count: int = 10, **changes: object) -> Batches:
    pixels = Pixels(
        torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 9, 9).contiguous(),
        torch.arange(count),
        torch.ones(count),
    )
    options: dict[str, object] = {
        "pixels": pixels,
        "batch_size": 4,
        "device": torch.device("cpu"),
        "size": (8, 8),
        "resize": (9, 9),
        "mean": (0.0, 0.0, 0.0),
        "std": (1 / 255, 1 / 255, 1 / 255),
        "seed": 1,
    }
    return Batches(**(options | changes))  # type: ignore[arg-type]


def test_validation_gives_every_image_once_in_order() -> None:
    labels = torch.cat([found for _, found in batches().epoch(1)])
    assert labels.tolist() == list(range(10))
    assert len(batches()) == 3


def test_images_stay_with_their_labels() -> None:
    for images, labels in batches(shuffle=True, augmentation=preset("light", flip=True)).epoch(1):
        torch.testing.assert_close(images.mean((1, 2, 3)), labels.float(), atol=1e-4, rtol=1e-4)
        assert images.shape[1:] == (3, 8, 8)


def test_an_epoch_is_the_same_whenever_it_is_asked_for() -> None:
    one, two = (batches(shuffle=True, augmentation=preset("strong", flip=True)) for _ in range(2))
    list(two.epoch(1))
    for (images, labels), (others, other_labels) in zip(one.epoch(2), two.epoch(2), strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    orders = [torch.cat([found for _, found in one.epoch(number)]).tolist() for number in (1, 2)]
    assert orders[0] != orders[1]


def test_a_last_batch_of_one_image_is_left_out_of_training() -> None:
    assert [len(labels) for _, labels in batches(9, shuffle=True).epoch(1)] == [4, 4]
    assert [len(labels) for _, labels in batches(9).epoch(1)] == [4, 4, 1]


def test_normalisation_is_torchvisions() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images, _ = next(batches(mean=mean, std=std).epoch(1))
    expected = (torch.arange(4)[:, None] / 255 - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(images[:, :, 0, 0], expected)


def test_fixed_views_come_back_in_turn_whatever_the_trials_seed() -> None:
    def seen(seed: int, number: int, batch_size: int) -> dict[int, torch.Tensor]:
        found = batches(
            pixels=noise(), seed=seed, batch_size=batch_size, shuffle=True, views=Views(2, 7), augmentation=STRONG
        )
        return {
            int(label): image
            for images, labels in found.epoch(number)
            for image, label in zip(images, labels, strict=True)
        }

    first, again, other = seen(1, 1, 5), seen(2, 3, 4), seen(1, 2, 5)
    for label, image in again.items():
        torch.testing.assert_close(first[label], image)
    assert not torch.allclose(first[0], other[0])


@pytest.mark.parametrize("strength", ["strong", "randaugment"])
def test_each_part_of_the_data_varies_as_it_does_by_itself(strength: str) -> None:
    whole, chosen = noise(), torch.arange(10)
    facts = {"views": Views(2, 7), "augmentation": preset(strength, flip=True), "resize": (8, 8)}
    parts = (Part("first", 6), Part("second", 4))
    joined = batches(pixels=whole, parts=parts, **facts)
    alone = [batches(pixels=whole.of(places), **facts) for places in (range(6), range(6, 10))]
    for number in (1, 2):
        images = joined.inputs(chosen, number)
        assert torch.equal(images[:6], alone[0].inputs(chosen[:6], number))
        # Nothing is drawn twice: the second part has a seed of its own.
        assert not torch.equal(images[6:], alone[1].inputs(chosen[:4], number))


def test_images_in_order_are_those_of_the_epoch() -> None:
    found = batches(pixels=noise(), shuffle=True, augmentation=STRONG)
    whole = torch.cat([images for _, images in found.every(3, 4)])
    for (images, labels), chosen in zip(found.epoch(3), found.order(3), strict=True):
        torch.testing.assert_close(images, whole[chosen])
        assert torch.equal(labels, found.targets(chosen, 3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_rows_in_host_memory_reach_the_device() -> None:
    rows, chosen = torch.arange(12.0).reshape(4, 3), torch.tensor([2, 0])
    for place in (rows, rows.cuda()):
        assert torch.equal(gather(place, chosen, torch.device("cuda")).cpu(), rows[chosen])


def test_rows_are_gathered_in_the_order_asked_for() -> None:
    rows = torch.arange(12.0).reshape(4, 3)
    assert torch.equal(gather(rows, torch.tensor([2, 0]), torch.device("cpu")), rows[[2, 0]])


def test_mixed_batches_carry_class_probabilities() -> None:
    found = list(batches(shuffle=True, mix=Mix("mixup", 0.5), classes=10).epoch(1))
    assert [labels.shape for _, labels in found] == [(4, 10), (4, 10), (2, 10)]


STRONG = preset("strong", flip=True)


def noise(count: int = 10) -> Pixels:
    images = torch.randint(0, 256, (count, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Pixels(images, torch.arange(count), torch.ones(count))
