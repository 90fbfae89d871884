"""Derive ratings from captions: a caption fits its own image, and does not fit images that are chosen at random."""

import pandas as pd

FITS, DIFFERS = 4, 1
"""Derived ratings of a caption for its own image and for another image, on the scale 1 to 4."""

N_OTHER_IMAGES = 3


def derive_ratings(captions: pd.DataFrame) -> pd.DataFrame:
    """Rate each caption 4 for its own image, and 1 for up to three other images.

    An image that has the same caption gets the rating 4. The result does not depend on the order of the captions.

    Args:
        captions: table with the columns image_id and text.

    Returns:
        Table with the columns image_id, text and rating, sorted by image and text.
    """
    captions = captions[["image_id", "text"]].sort_values(["image_id", "text"], ignore_index=True)
    shuffled = [captions["image_id"].sample(frac=1, random_state=seed).to_numpy() for seed in range(N_OTHER_IMAGES)]
    others = [captions.assign(image_id=images, rating=DIFFERS) for images in shuffled]
    pairs = pd.concat([captions.assign(rating=FITS), *others]).drop_duplicates(["image_id", "text"])  # keeps FITS
    return pairs.sort_values(["image_id", "text"], ignore_index=True)
