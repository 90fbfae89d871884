"""Reader for the Karpathy split files of Flickr8k, Flickr30k and COCO, such as dataset_flickr8k.json."""

from kadr.ingest.captions.caption_reader import CaptionFile, RawCaptions, caption_rows


class KarpathySplit:
    """Reader for a JSON object with the list `images` (filename, sentences with raw and sentid)."""

    layout = "Karpathy split: JSON with images (filename, sentences with raw and sentid)"

    def recognises(self, file: CaptionFile) -> bool:
        """Return whether the file is a JSON object whose images contain sentences."""
        images = file.json.get("images") if isinstance(file.json, dict) else None
        return isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images)

    def read(self, file: CaptionFile) -> RawCaptions:
        """Read the sentences of all images, in the train, validation and test split."""
        sentences = [
            (str(image.get("filename", "")), sentence)
            for image in file.json["images"]
            for sentence in image.get("sentences", [])
        ]
        rows = caption_rows(
            [filename for filename, _ in sentences],
            [str(sentence.get("raw") or " ".join(sentence.get("tokens", []))) for _, sentence in sentences],
            source_id=[str(sentence.get("sentid", "")) for _, sentence in sentences],
        )
        return RawCaptions(rows, {"image_id": "filename", "caption_id": "filename", "text": "raw"})
