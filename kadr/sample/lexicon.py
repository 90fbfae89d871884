"""Words and phrases of the caption templates.

A word that occurs twice in a tuple is chosen twice as often.
"""

NOUNS: dict[str, tuple[str, ...]] = {
    "ball": ("ball",),
    "tree": ("tree",),
    "house": ("house", "house", "cottage"),
    "car": ("car", "car", "automobile"),
    "boat": ("boat", "sailboat", "sailing boat"),
    "dog": ("dog", "dog", "puppy"),
    "cat": ("cat", "cat", "kitten"),
    "bird": ("bird",),
    "person": ("person", "man", "person"),
    "umbrella": ("umbrella", "umbrella", "parasol"),
    "flower": ("flower", "flower", "blossom"),
    "chair": ("chair", "chair", "wooden chair"),
    "kite": ("kite",),
    "lamp": ("lamp", "lamp", "floor lamp"),
}
VERBS: dict[str, tuple[str, ...]] = {
    "ball": ("lies", "is", "is lying"),
    "tree": ("stands", "grows", "is"),
    "house": ("stands", "is"),
    "car": ("is parked", "stands", "is"),
    "boat": ("floats", "sails", "is"),
    "dog": ("stands", "is standing", "is"),
    "cat": ("sits", "is sitting", "is"),
    "bird": ("flies", "is flying", "hovers"),
    "person": ("stands", "is standing", "poses"),
    "umbrella": ("stands", "is", "is opened"),
    "flower": ("grows", "blooms", "is"),
    "chair": ("stands", "is"),
    "kite": ("flies", "is flying", "floats"),
    "lamp": ("stands", "is"),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "red", "bright red"),
    "orange": ("orange",),
    "yellow": ("yellow",),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink",),
    "brown": ("brown",),
    "black": ("black",),
    "white": ("white",),
}
CLOTHES_TEMPLATES = ("in a {} shirt", "wearing {}", "in a {} jacket", "dressed in {}")
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("big", "large")}
POSITION_PHRASES = {
    "left": ("on the left", "on the left side"),
    "centre": ("in the middle", "in the centre"),
    "right": ("on the right", "on the right side"),
}
RELATION_PHRASES = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "next to": ("next to", "beside", "near"),
    "in front of": ("in front of",),
}
CONVERSE_RELATION_PHRASES = {
    "left of": ("right of", "to the right of"),
    "right of": ("left of", "to the left of"),
    "above": ("below", "under"),
    "next to": ("next to", "beside"),
    "in front of": ("behind",),
}
"""Phrases that express the same relation with the subject and the target swapped."""

BACKGROUND_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": ("on the beach", "on a sandy beach", "at the seaside"),
    "meadow": ("in a meadow", "on the grass", "in a green field"),
    "snow": ("in the snow", "on a snowy field", "on snow"),
    "street": ("on the street", "in a city street", "in town"),
    "room": ("in a room", "indoors", "inside a room"),
    "night": ("at night", "under the night sky", "in the moonlight"),
    "lake": ("by a lake", "at the lake", "at a mountain lake"),
    "desert": ("in the desert", "on desert sand"),
}
