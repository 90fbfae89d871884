"""Group queries that must be in the same split."""

from collections.abc import Mapping, Sequence


def query_groups(query_ids: Sequence[str], own_image: Mapping[str, str]) -> list[str]:
    """Return the group of each query. Queries that were written for the same image share a group.

    Args:
        query_ids: (n,) query IDs.
        own_image: query ID -> ID of the image that the query was written for. Omit a query if its image is unknown.

    Returns:
        (n,) group names: the image ID, or the query ID if the image is unknown.

    >>> query_groups(["q1", "q2", "q3"], {"q1": "a.jpg", "q2": "a.jpg"})
    ['a.jpg', 'a.jpg', 'q3']
    """
    return [own_image.get(query_id, query_id) for query_id in query_ids]
