"""Read the size of a JPEG XL image from its header, because its Pillow plugin decodes all pixels to find the size."""

_CODESTREAM = b"\xff\x0a"
_BOX_TYPES = (b"jxlc", b"jxlp")
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZE_BITS = (9, 13, 18, 30)


def read_jxl_size(content: bytes) -> tuple[int, int] | None:
    """Return the width and height in pixels as stored in the file, or None if the header is damaged.

    Args:
        content: bytes of the file: a codestream, or a container with a codestream.
    """
    codestream = content if content.startswith(_CODESTREAM) else _find_codestream(content)
    if codestream is None or not codestream.startswith(_CODESTREAM):
        return None
    bits = _Bits(codestream[2:32])
    is_small = bits.read(1)
    height = _read_length(bits, is_small)
    ratio = bits.read(3)
    if ratio == 0:
        return _read_length(bits, is_small), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


class _Bits:
    """Reader of numbers of any number of bits. The lowest bits come first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")

    def read(self, n_bits: int) -> int:
        value = self._value & ((1 << n_bits) - 1)
        self._value >>= n_bits
        return value


def _read_length(bits: _Bits, is_small: int) -> int:
    if is_small:
        return 8 * (bits.read(5) + 1)
    return bits.read(_SIZE_BITS[bits.read(2)]) + 1


def _find_codestream(content: bytes) -> bytes | None:
    """Return the start of the codestream in a container of boxes."""
    position = 0
    while position + 8 <= len(content):
        length, kind = int.from_bytes(content[position : position + 4], "big"), content[position + 4 : position + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(content[position + 8 : position + 16], "big"), 16
        if kind in _BOX_TYPES:
            start = position + header + (4 if kind == b"jxlp" else 0)  # a part starts with its number
            return content[start : start + 32]
        if length < header:
            return None
        position += length
    return None
