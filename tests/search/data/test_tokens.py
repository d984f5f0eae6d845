from __future__ import annotations

import torch

from search.data.tokens import IGNORED, TokenBatches, encoded


def batches(shuffle: bool = True, size: int = 8, seed: int = 0, count: int = 100) -> TokenBatches:
    random = torch.Generator().manual_seed(3)
    lengths = torch.randint(2, 40, (count,), generator=random).tolist()
    rows = [[place + 1] * length for place, length in enumerate(lengths)]
    texts = encoded(rows, 0, torch.arange(len(rows)))
    return TokenBatches(texts=texts, batch_size=size, device=torch.device("cpu"), seed=seed, shuffle=shuffle)


def test_batches_are_padded_to_their_own_longest_text() -> None:
    loader = batches()
    for ids, targets in loader.epoch(1):
        assert ids.dtype == torch.int64
        assert ids.shape[1] == loader.texts.lengths[targets].max()
        assert torch.equal(ids[:, 0] - 1, targets)
        assert torch.equal((ids != 0).sum(dim=1), loader.texts.lengths[targets])


def test_texts_of_like_length_come_together_in_an_order_of_the_epoch_s_own() -> None:
    loader = batches(count=800)
    first, second = ([chosen.tolist() for chosen in loader.order(number)] for number in (1, 2))
    assert sorted(place for chosen in first for place in chosen) == list(range(800))
    assert first != second
    assert first == [chosen.tolist() for chosen in batches(count=800).order(1)]
    padded = sum(len(chosen) * loader.extent(torch.tensor(chosen)) for chosen in first)
    real = int(loader.texts.lengths.sum())
    blind = sum(
        len(chosen) * int(loader.texts.lengths[chosen].max())
        for chosen in torch.randperm(800, generator=torch.Generator().manual_seed(0)).split(8)
    )
    assert padded < 1.15 * real < 0.8 * blind
    longest = [loader.extent(torch.tensor(chosen)) for chosen in first]
    assert longest != sorted(longest, reverse=True)


def test_a_single_text_at_the_end_is_not_a_training_batch() -> None:
    loader = batches(size=33)
    assert [len(chosen) for chosen in loader.order(1)] == [33, 33, 33]
    assert len(loader) == 3
    still = batches(shuffle=False, size=33)
    assert [len(chosen) for chosen in still.order(1)] == [33, 33, 33, 1]
    assert torch.cat(still.order(5)).tolist() == list(range(100))


def test_a_class_for_each_token_is_cut_with_its_text() -> None:
    texts = encoded([[5, 6, 7], [8]], 0, classes=[[0, IGNORED, 1], [1]])
    loader = TokenBatches(texts=texts, batch_size=2, device=torch.device("cpu"))
    assert loader.targets(torch.tensor([1]), 1).tolist() == [[1]]  # type: ignore[union-attr]
    assert loader.targets(torch.tensor([1, 0]), 1).tolist() == [[1, IGNORED, IGNORED], [0, IGNORED, 1]]  # type: ignore[union-attr]


def test_other_texts_are_another_cache() -> None:
    first, second = (
        TokenBatches(texts=encoded(rows, 0, torch.zeros(2)), batch_size=2, device=torch.device("cpu"))
        for rows in ([[1, 2], [3]], [[3], [1, 2]])
    )
    assert first.facts != second.facts
