"""Reader for the captions files of COCO, such as captions_val2014.json."""

from kadr.errors import InputError
from kadr.ingest.captions.caption_reader import CaptionFile, RawCaptions, caption_rows


class CocoCaptions:
    """Reader for a JSON object with the lists `images` (id, file_name) and `annotations` (id, image_id, caption)."""

    layout = "COCO captions: JSON with images (id, file_name) and annotations (id, image_id, caption)"

    def recognises(self, file: CaptionFile) -> bool:
        """Return whether the file is a JSON object with images and annotations."""
        content = file.json
        return isinstance(content, dict) and _is_list(content, "images") and _is_list(content, "annotations")

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read the captions. A caption whose image_id is not in `images` keeps the image_id as its image name.

        Raises:
            InputError: the annotations have no captions, for example because they are boxes.
        """
        names = {str(image.get("id")): str(image.get("file_name") or "") for image in file.json["images"]}
        annotations = file.json["annotations"]
        if not any(isinstance(annotation, dict) and "caption" in annotation for annotation in annotations):
            raise InputError(
                f"{file.path}: no annotation has a caption, expected the captions file of COCO, such as "
                "captions_val2014.json. Files such as instances_val2014.json contain boxes. Use the captions file."
            )
        image_ids = [str(annotation.get("image_id", "")) for annotation in annotations]
        rows = caption_rows(
            [names.get(image_id) or image_id for image_id in image_ids],
            [str(annotation.get("caption") or "") for annotation in annotations],
            source_id=[str(annotation.get("id", "")) for annotation in annotations],
        )
        return RawCaptions(rows, {"image_id": "image_id", "caption_id": "image_id", "text": "caption"})


def _is_list(content: dict[str, object], key: str) -> bool:
    """Return whether a key contains a list of JSON objects."""
    values = content.get(key)
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)
