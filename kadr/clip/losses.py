"""Loss functions of CLIP training: a contrastive loss for captions, and a cross-entropy loss for rated pairs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def contrastive_loss(
    images: "torch.Tensor", texts: "torch.Tensor", false_negatives: "torch.Tensor", logit_scale: "torch.Tensor"
) -> "torch.Tensor":
    """Return the contrastive loss of CLIP (Radford et al. 2021, arXiv:2103.00020) for several captions per image.

    False negatives are excluded from the softmax, so they count neither as positives nor as negatives.

    Args:
        images: unit vectors of the images, (n_images, d).
        texts: unit vectors of the captions, (n_captions, n_images, d).
        false_negatives: bool mask of the pairs to exclude, (n_captions, n_images, n_images).
        logit_scale: inverse temperature, scalar.
    """
    import torch
    from torch.nn.functional import cross_entropy

    logits = logit_scale * torch.einsum("id,kjd->kij", images, texts)
    logits = logits.masked_fill(false_negatives, float("-inf"))
    n_captions, n_images = logits.shape[:2]
    targets = torch.arange(n_images, device=logits.device).repeat(n_captions)
    image_to_text = cross_entropy(logits.reshape(n_captions * n_images, n_images), targets)
    text_to_image = cross_entropy(logits.transpose(1, 2).reshape(n_captions * n_images, n_images), targets)
    return (image_to_text + text_to_image) / 2


def rating_loss(
    cosine: "torch.Tensor",
    relevance: "torch.Tensor",
    weight: "torch.Tensor",
    logit_scale: "torch.Tensor",
    logit_bias: "torch.Tensor",
) -> "torch.Tensor":
    """Return the weighted cross-entropy between the relevance and `sigmoid(logit_scale * cosine + logit_bias)`.

    SigLIP (Zhai et al. 2023, arXiv:2303.15343) uses the same loss with binary labels.

    Args:
        cosine: cosine similarity of the image and the text of each pair, (n_pairs,).
        relevance: rated relevance of each pair, (n_pairs,), in 0..1.
        weight: positive weight of each pair, (n_pairs,).
        logit_scale: factor by which the cosine is multiplied, scalar.
        logit_bias: bias that is added to the scaled cosine, scalar.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    loss = binary_cross_entropy_with_logits(
        logit_scale * cosine + logit_bias, relevance, weight=weight, reduction="sum"
    )
    return loss / weight.sum()
