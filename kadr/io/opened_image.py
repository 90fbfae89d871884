"""An image file that is open for decoding: its format, size, metadata and pixels."""

from dataclasses import dataclass, field

from PIL import Image

from kadr.errors import UndecodableError
from kadr.io.colour_conversion import Colour, is_opaque_8_bit, is_srgb, is_valid_profile, to_rgb
from kadr.io.exif_orientation import UPRIGHT, turn_upright, upright_size
from kadr.io.jpeg_segments import JpegSegments
from kadr.io.missing_jpeg_data import lacks_lower_part


@dataclass
class OpenedImage:
    """An image file that is open for decoding.

    Attributes:
        path: file name for error messages.
        stored: image as stored in the file, neither rotated nor converted. Its pixels are decoded on first access.
        format: name of the file format in IMAGE_FORMATS, or RAW.
        background: colour behind transparent pixels.
        orientation: EXIF orientation of the stored image, 1 to 8.
        exif_block: EXIF metadata, from the TIFF header onwards.
        xmp: XMP packet.
        icc_profile: colour profile.
        white_is_zero: whether grey values of more than 8 bits are inverted.
        jpeg: segments of a JPEG file. None for other formats.
        faults: descriptions of faulty metadata that was ignored.
    """

    path: str
    stored: Image.Image
    format: str
    background: Colour
    orientation: int = UPRIGHT
    exif_block: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    white_is_zero: bool = False
    jpeg: JpegSegments | None = None
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._full_size = self.stored.size
        self._draft: tuple[str, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image in pixels, at full size."""
        return upright_size(self._full_size, self.orientation)

    @property
    def is_plain(self) -> bool:
        """Whether a decoder without options produces the right pixels: faultless, upright, opaque, 8 bits, sRGB."""
        is_upright = self.orientation == UPRIGHT
        is_opaque = is_opaque_8_bit(self.stored)
        return not self.faults and is_upright and is_opaque and is_srgb(self.icc_profile, self.stored.mode)

    def read_exif(self) -> Image.Exif | None:
        """Return the EXIF metadata, or None if it is missing or damaged."""
        if not self.exif_block:
            return None
        exif = Image.Exif()
        try:
            exif.load(self.exif_block)
        except Exception:  # Pillow raises many types of exceptions for damaged metadata
            self.faults.append("damaged EXIF block")
            return None
        return exif

    def reduce(self, mode: str, side: int) -> None:
        """Decode a JPEG at 1/2, 1/4 or 1/8 of its size, so that both sides have at least `side` pixels.

        Other formats are not reduced.

        Args:
            mode: mode of the decoded image: RGB or L.
            side: minimum length of both sides in pixels.
        """
        self._draft = (mode, side)
        self._reduce(self.stored)

    def load_rgb(self) -> Image.Image:
        """Decode the pixels, and return the upright RGB image.

        Raises:
            UndecodableError: the lower part of a JPEG is missing.
        """
        self._load()
        if self.icc_profile and not is_valid_profile(self.icc_profile, self.stored.mode):
            self.faults.append("colour profile that is damaged or for another colour space")
        rgb = to_rgb(self.stored, self.background, self.icc_profile, white_is_zero=self.white_is_zero)
        return turn_upright(rgb, self.orientation)

    def _reduce(self, image: Image.Image) -> None:
        if self._draft is not None:
            mode, side = self._draft
            image.draft(mode, (side, side))

    def _load(self) -> None:
        self.stored.load()
        jpeg = self.jpeg
        if jpeg and jpeg.is_baseline and lacks_lower_part(self.stored, self._full_size, jpeg, self._reduce):
            raise UndecodableError(
                f"{self.path}: the lower part of the image is missing. Replace the file with a complete copy.",
                "truncated",
                self.size,
            )
