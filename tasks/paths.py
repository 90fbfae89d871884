"""The stages' files: every path that a stage reads or writes, relative to the project, as dvc.yaml names it."""

from pathlib import Path

IMAGES = Path("data/tables/images.parquet")  # rated and searchable photos (splits train and test)
CORPUS = Path("data/tables/corpus.parquet")  # captioned, unrated photos (split corpus)
QUERIES = Path("data/tables/queries.parquet")
CAPTIONS = Path("data/tables/captions.parquet")  # of the corpus photos
RATINGS = Path("data/tables/ratings.parquet")
QUARANTINE = Path("data/tables/quarantine.parquet")
LEAKS = Path("data/tables/leaks.parquet")
RELEVANCE = Path("data/tables/relevance.parquet")
CLIP_PAIRS = Path("data/tables/clip_pairs.parquet")  # of clip.ratings; empty where it is 0
WITHHELD = Path("data/tables/withheld.parquet")  # likewise: the CLIP's pairs, and those that serve neither
RATE_NEXT = Path("reports/rate_next.csv")  # pairs whose next expert rating would tell most
RATING_BINS = Path("reports/rating_bins.csv")  # ratings and pairs in twentieths of 0..1
IMAGE_EMBEDDINGS = Path("data/embeddings/images")  # <encoder>.parquet
TEXT_EMBEDDINGS = Path("data/embeddings/texts")  # <encoder>.parquet
TEXT_ENCODERS = Path("models/text_encoders")  # <encoder>/, what a query needs beside the weights
CLIP = Path("models/clip")
RELEVANCE_MODEL = Path("models/relevance")
PREDICTIONS = Path("data/predictions")  # model.parquet and one per baseline
SEEN_TEXT = "seen_text"  # in PREDICTIONS: the model's scores where the photo alone was held out
INDEX = Path("models/index")
DATA_DOCS = Path("reports/data_docs")  # <table>.html
RELIABILITY = Path("reports/reliability.csv")
REPORT = Path("reports/index.html")
RATINGS_REPORT = Path("reports/ratings.html")
METRICS = Path("metrics")  # <stage>.json
SCORE_SUMMARY = "_summary.json"  # in a folder of scores (tasks/score.py): what the last scoring did
