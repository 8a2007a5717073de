"""Folders of data as Spark, Hive, pyarrow, duckdb, fastparquet, polars, datasets and the Hugging Face hub lay them out."""
import json
import pathlib
import tempfile

import datasets
import duckdb
import fastparquet
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from odd_columns import TEXTS, frame

ROWS = len(TEXTS)
rows = datasets.Dataset.from_dict({"text": TEXTS, "id": list(range(ROWS))})


def write(folder, files):
    for name, content in files.items():
        path = pathlib.Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in content)
            if path.suffix == ".parquet":
                pq.write_table(pa.table({"text": content}), path)
            elif path.suffix == ".txt":
                path.write_text("\n".join(content) + "\n")
            else:
                path.write_text(lines)
        else:
            path.write_text(content)


def of(files):
    return lambda folder: write(folder, files)


def loaded(split="train"):
    def read(folder):
        with tempfile.TemporaryDirectory() as cache:
            return datasets.load_dataset(folder, split=split, cache_dir=cache)["text"][:]

    return read


def from_disk(split=None):
    def read(folder):
        found = datasets.load_from_disk(folder)
        return (found if split is None else found[split])["text"][:]

    return read


def by_duckdb(folder):
    with duckdb.connect() as db:
        db.register("rows", frame)
        db.execute(f"COPY (SELECT *, id % 2 AS year FROM rows ORDER BY id) TO '{folder}' (FORMAT parquet, PARTITION_BY (year))")


def mapped_after(folder):
    """datasets keeps its computed files beside the data."""
    rows.save_to_disk(folder)
    datasets.load_from_disk(folder).map(lambda row: {"text": row["text"] + "!"})


def saved(found, **options):
    return lambda folder: found.save_to_disk(folder, **options)


SPARK = "part-0000{}-6a1e-c000.snappy.parquet"
CARD = "---\nlicense: mit\n---\n# A card\n"
splits = datasets.DatasetDict(train=rows, validation=rows.select(range(3)), test=rows.select(range(2)))
hub = {
    "README.md": CARD,
    ".gitattributes": "# none\n",
    "data/train-00000-of-00002.parquet": TEXTS[:3],
    "data/train-00001-of-00002.parquet": TEXTS[3:],
    "data/validation-00000-of-00001.parquet": ["held out"],
    "data/test-00000-of-00001.parquet": ["tested"],
}
three = {"train.jsonl": ["a", "b"], "validation.jsonl": ["c"], "test.jsonl": ["d"], "README.md": CARD}
deep = {"data/train/0.jsonl": ["a"], "data/train/1.jsonl": ["b"], "data/dev/0.jsonl": ["c"], "LICENSE": "MIT\n"}

# Name: the writer, the split that is read, the reader of the reference.
FOLDERS = {
    "card-beside": (of({"README.md": CARD, "LICENSE": "MIT\n", ".hidden.jsonl": ["no"], "a.jsonl": ["a", "b"]}), "train", loaded()),
    "depths": (of({"b/2.jsonl": ["2"], "a.jsonl": ["a"], "b/1.jsonl": ["1"], "b/c/0.jsonl": ["0"]}), "train", loaded()),
    "more-lines-than-tables": (of({"a.csv": "text\nx\n", "b.jsonl": ["b"], "c.jsonl": ["c"]}), "train", loaded()),
    "texts": (of({"b.txt": ["b"], "a.txt": ["a 1", "a 2"]}), "train", loaded()),
    "hub": (of(hub), "train", loaded()),
    "hub-validation": (of(hub), "validation", loaded("validation")),
    "three-files": (of(three), "train", loaded()),
    "three-files-validation": (of(three), "validation", loaded("validation")),
    "deep": (of(deep), "train", loaded()),
    "deep-validation": (of(deep), "validation", loaded("validation")),
    "training-and-evaluation": (of({"x_training.jsonl": ["a"], "evaluation-1.jsonl": ["b"]}), "validation", loaded("test")),
    "order-of-patterns": (of({"a-train.jsonl": ["2"], "train.jsonl": ["1"], "training.jsonl": ["3"]}), "train", loaded()),
    "words-within-words": (of({"trainer.jsonl": ["a"], "contest.jsonl": ["b"]}), "train", loaded()),
    "spark": (
        of({"_SUCCESS": "", "._SUCCESS.crc": "crc", SPARK.format(0): TEXTS[:4], SPARK.format(1): TEXTS[4:]}),
        "train",
        loaded(),
    ),
    "spark-empty-part": (of({SPARK.format(0): TEXTS[:4], SPARK.format(1): TEXTS[4:], "_SUCCESS": ""}), "train", loaded()),
    "duckdb-hive": (by_duckdb, "train", loaded()),
    "fastparquet-hive": (
        lambda folder: fastparquet.write(folder, frame.assign(year=[2024, 2025] * (ROWS // 2)), file_scheme="hive", partition_on=["year"]),
        "train",
        loaded(),
    ),
    "polars-hive": (
        lambda folder: pl.from_pandas(frame).with_columns(year=pl.col("id") % 2).write_parquet(folder, partition_by="year"),
        "train",
        loaded(),
    ),
    "pyarrow-dataset": (
        lambda folder: pa.dataset.write_dataset(pa.table({"text": TEXTS}), folder, format="parquet", max_rows_per_file=4, max_rows_per_group=4),
        "train",
        loaded(),
    ),
    "saved": (saved(rows), "train", from_disk()),
    "saved-shards": (saved(rows, num_shards=3), "train", from_disk()),
    "saved-selected": (saved(rows.select([3, 1, 2])), "train", from_disk()),
    "saved-shuffled": (saved(rows.shuffle(seed=1)), "train", from_disk()),
    "saved-filtered": (saved(rows.filter(lambda row: row["id"] > 6)), "train", from_disk()),
    "saved-sorted": (saved(rows.sort("text")), "train", from_disk()),
    "saved-and-mapped": (mapped_after, "train", from_disk()),
    "saved-splits": (saved(splits), "train", from_disk("train")),
    "saved-splits-validation": (saved(splits), "validation", from_disk("validation")),
    "saved-train-test": (saved(rows.train_test_split(0.3, seed=0)), "validation", from_disk("test")),
}
