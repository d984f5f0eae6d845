from __future__ import annotations

from spaces import backbones
from spaces.chains import probe


def test_features_are_known_to_have_their_channels_last() -> None:
    chain = backbones.resolve("swin_t").describe((64, 64))
    shape = probe.output_shape(chain)
    assert probe.is_channels_last(chain, shape)
    assert shape == (2, 2, 768)
