"""Split captioned images into training and test images by their names."""

import hashlib
from collections.abc import Collection

TEST_SHARE = 5
"""About one image in TEST_SHARE is a test image."""


def choose_test_images(image_ids: Collection[str]) -> set[str]:
    """Return the IDs of the test images.

    The split of an image depends only on its ID, so the image stays in its split when other images are added. If no
    image is chosen this way, the image with the lowest hash becomes the test image.

    >>> sorted(choose_test_images([f"{k}.jpg" for k in range(10)]))
    ['8.jpg']
    """
    hashes = {image_id: hashlib.sha256(image_id.encode()).digest() for image_id in image_ids}
    chosen = {image_id for image_id, digest in hashes.items() if digest[0] % TEST_SHARE == 0}
    return chosen or set(sorted(hashes, key=lambda image_id: hashes[image_id])[:1])
