"""Losses of CLIP training: the contrastive loss of captions, and the loss of rated pairs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def contrastive_loss(
    images: "torch.Tensor", texts: "torch.Tensor", false_negatives: "torch.Tensor", logit_scale: "torch.Tensor"
) -> "torch.Tensor":
    """Return the contrastive loss of CLIP (Radford et al. 2021, arXiv:2103.00020) for several captions per image.

    False negatives are excluded from the softmax, so that they are neither positives nor negatives.

    Args:
        images: (n_images, d) unit norm.
        texts: (n_captions, n_images, d) unit norm.
        false_negatives: (n_captions, n_images, n_images) bool.
        logit_scale: inverse temperature, a scalar.
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

    This is the loss of SigLIP (Zhai et al. 2023, arXiv:2303.15343) with graded instead of binary labels.

    Args:
        cosine: (n_pairs,) cosine similarities of images and texts.
        relevance: (n_pairs,) in 0..1.
        weight: (n_pairs,) positive weights.
        logit_scale: a scalar.
        logit_bias: a scalar.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    loss = binary_cross_entropy_with_logits(
        logit_scale * cosine + logit_bias, relevance, weight=weight, reduction="sum"
    )
    return loss / weight.sum()
