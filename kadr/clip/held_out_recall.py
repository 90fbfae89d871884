"""Measure how often a held-out caption retrieves the image that it describes."""

from typing import Any

import numpy as np

from kadr.clip.caption_pairs import NO_CAPTION, CaptionPairs
from kadr.clip.image_tensors import normalise_pixels

_BATCH_SIZE = 256


def held_out_recall(model: Any, pairs: CaptionPairs) -> tuple[float, float]:
    """Return recall@1 and recall@5 of text-to-image retrieval.

    Args:
        model: CLIP model of open_clip. The function switches the model to evaluation mode.
        pairs: held-out images and their captions. Each caption is compared with all held-out images.
    """
    import torch

    image, column = np.nonzero(pairs.captions != NO_CAPTION)
    tokens = pairs.tokens[pairs.captions[image, column]]
    device = model.logit_scale.device
    model.eval()
    with torch.inference_mode():
        images = torch.cat(
            [
                model.encode_image(normalise_pixels(model, pixels / 255).to(device), normalize=True)
                for pixels in torch.split(pairs.pixels, _BATCH_SIZE)
            ]
        )
        texts = torch.cat(
            [model.encode_text(batch.to(device), normalize=True) for batch in torch.split(tokens, _BATCH_SIZE)]
        )
        scores = (texts @ images.T).cpu().numpy()
    n_better = (scores > scores[np.arange(len(image)), image][:, None]).sum(axis=1)
    return float((n_better < 1).mean()), float((n_better < 5).mean())
