"""Odd but valid CSV, TSV, JSON and text files, as pandas, polars, duckdb, datasets, orjson, the csv and json modules and jq write them."""
import csv
import gzip
import json
import pathlib
import tempfile

import datasets
import duckdb
import orjson
import pandas as pd
import polars as pl

TEXTS = ["plain", "a, comma", 'a "quoted" word', "two\nlines", "Ünïcödé 🙂 日本", " spaces around ", "tab\there"]
frame = pd.DataFrame({"id": range(len(TEXTS)), "text": pd.Series(TEXTS, dtype=object), "score": [i / 4 for i in range(len(TEXTS))]})
polar = pl.DataFrame({"id": range(len(TEXTS)), "text": TEXTS, "score": [i / 4 for i in range(len(TEXTS))]})
rows = frame.to_dict("records")


def raw(content):
    """Bytes, for files that no library of today writes."""
    return lambda path: pathlib.Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def by_csv(values=TEXTS, header=("id", "text"), encoding="utf-8", **options):
    def write(path):
        with open(path, "w", newline="", encoding=encoding) as file:
            writer = csv.writer(file, **options)
            writer.writerows([header, *enumerate(values)])

    return write


def by_duckdb(options):
    def write(path):
        with duckdb.connect() as db:
            db.register("rows", frame)
            db.execute(f"COPY (SELECT * FROM rows ORDER BY id) TO '{path}' ({options})")

    return write


def lines(values, dumps=json.dumps, end="\n"):
    return raw("".join(dumps(value) + end for value in values))


def pandas_csv(**options):
    return lambda path: pd.read_csv(path, keep_default_na=False, **options)["text"].tolist()


def pandas_json(**options):
    return lambda path: pd.read_json(path, dtype=False, **options)["text"].tolist()


def loaded(kind, column="text", **options):
    def read(path):
        with tempfile.TemporaryDirectory() as cache:
            found = datasets.load_dataset(kind, data_files=path, split="train", cache_dir=cache, **options)
        return found[column][:]

    return read


def of_json(value):
    return lambda path: [row["text"] for row in value(json.loads(pathlib.Path(path).read_text("utf-8-sig")))]


def written(texts):
    """What was put in, where no reference reads the file as people mean it."""
    return lambda path: list(texts)


TSV = pandas_csv(sep="\t")
NO_QUOTES = ["plain", 'say "hi"', '"quoted"', '5" disk', "Ünïcödé"]
NESTED = [{"text": text, "meta": {"text": "inner", "list": [{"text": "deeper"}]}, "none": None} for text in TEXTS]
NOT_NUMBERS = [{"text": text, "loss": float("nan"), "score": float("inf"), "less": -float("inf")} for text in TEXTS]

# Name: the writer, the reader of the reference, and the options beside the file's name.
ROWS = {
    "pandas.csv": (lambda path: frame.to_csv(path, index=False), pandas_csv(), {}),
    "pandas-index.csv": (lambda path: frame.to_csv(path), pandas_csv(), {}),
    "pandas-crlf.csv": (lambda path: frame.to_csv(path, lineterminator="\r\n"), pandas_csv(), {}),
    "pandas-quoted.csv": (lambda path: frame.to_csv(path, quoting=csv.QUOTE_ALL), pandas_csv(), {}),
    "pandas-nonnumeric.csv": (lambda path: frame.to_csv(path, quoting=csv.QUOTE_NONNUMERIC), pandas_csv(), {}),
    "pandas-mark.csv": (lambda path: frame.to_csv(path, encoding="utf-8-sig"), pandas_csv(), {}),
    "pandas-gzip.csv.gz": (lambda path: frame.to_csv(path), pandas_csv(), {}),
    "pandas-utf16.csv": (lambda path: frame.to_csv(path, encoding="utf-16"), pandas_csv(encoding="utf-16"), {}),
    "pandas-sep.tsv": (lambda path: frame.to_csv(path, sep="\t"), TSV, {}),
    "pandas-two-columns.csv": (lambda path: pd.concat([frame, frame.text + "!"], axis=1).to_csv(path), pandas_csv(), {}),
    "polars.csv": (lambda path: polar.write_csv(path), pandas_csv(), {}),
    "polars-always.csv": (lambda path: polar.write_csv(path, quote_style="always", include_bom=True), pandas_csv(), {}),
    "polars.tsv": (lambda path: polar.write_csv(path, separator="\t"), TSV, {}),
    "polars-crlf.csv": (lambda path: polar.write_csv(path, line_terminator="\r\n"), pandas_csv(), {}),
    "duckdb.csv": (by_duckdb("FORMAT csv"), pandas_csv(), {}),
    "duckdb-quoted.csv": (by_duckdb("FORMAT csv, FORCE_QUOTE *"), pandas_csv(), {}),
    "duckdb.tsv": (by_duckdb("FORMAT csv, DELIMITER '\t'"), TSV, {}),
    "duckdb.csv.gz": (by_duckdb("FORMAT csv, COMPRESSION gzip"), pandas_csv(), {}),
    "datasets.csv": (lambda path: datasets.Dataset.from_pandas(frame).to_csv(path), loaded("csv"), {}),
    "module.csv": (by_csv(), pandas_csv(), {}),
    "module-unix.csv": (by_csv(dialect="unix"), pandas_csv(), {}),
    "module-excel-tab.tsv": (by_csv(dialect="excel-tab"), TSV, {}),
    "module-return.csv": (by_csv(["a", "b c", "d"], lineterminator="\r"), pandas_csv(), {}),
    "module-semicolon.csv": (by_csv(delimiter=";"), pandas_csv(sep=";"), {"csvSeparator": "semicolon"}),
    "header-crlf.csv": (raw("text,id\r\na,1\nb,2\nc,3\n"), pandas_csv(), {}),
    "header-lf.csv": (raw("text,id\na,1\r\nb,2\r\nc,3\r\n"), pandas_csv(), {}),
    "one-crlf.csv": (raw("id,text\n1,a\n2,b\r\n3,c\n"), pandas_csv(), {}),
    "crlf-in-quotes.csv": (raw('id,text\r\n1,"a\r\nb"\r\n2,c\r\n'), loaded("csv"), {}),
    "no-last-end.csv": (raw("text\na\nb"), pandas_csv(), {}),
    "blank-lines.csv": (raw("text,id\n\na,1\n\nb,2\n\n\n"), pandas_csv(), {}),
    "quotes.tsv": (raw("id\ttext\n" + "".join(f"{i}\t{t}\n" for i, t in enumerate(NO_QUOTES))), pandas_csv(sep="\t", quoting=3), {"csvQuoting": "none"}),
    "pandas-array.json": (lambda path: frame.to_json(path, orient="records"), pandas_json(), {}),
    "pandas-indented.json": (lambda path: frame.to_json(path, orient="records", indent=2, force_ascii=False), pandas_json(), {}),
    "pandas-lines.jsonl": (lambda path: frame.to_json(path, orient="records", lines=True), pandas_json(lines=True), {}),
    "pandas-lines.json": (lambda path: frame.to_json(path, orient="records", lines=True), pandas_json(lines=True), {}),
    "pandas-lines.jsonl.gz": (lambda path: frame.to_json(path, orient="records", lines=True), pandas_json(lines=True), {}),
    "pandas-table.json": (lambda path: frame.to_json(path, orient="table", index=False), of_json(lambda all: all["data"]), {"jsonField": "data"}),
    "polars.json": (lambda path: polar.write_json(path), pandas_json(), {}),
    "polars.ndjson": (lambda path: polar.write_ndjson(path), pandas_json(lines=True), {}),
    "duckdb.json": (by_duckdb("FORMAT json"), pandas_json(lines=True), {}),
    "duckdb-array.json": (by_duckdb("FORMAT json, ARRAY true"), pandas_json(), {}),
    "duckdb.ndjson.gz": (by_duckdb("FORMAT json, COMPRESSION gzip"), pandas_json(lines=True), {}),
    "datasets.jsonl": (lambda path: datasets.Dataset.from_list(NESTED).to_json(path), loaded("json"), {}),
    "datasets-array.json": (lambda path: datasets.Dataset.from_list(NESTED).to_json(path, lines=False), loaded("json"), {}),
    "orjson.jsonl": (lines(rows, lambda row: orjson.dumps(row).decode()), loaded("json"), {}),
    "orjson-indented.json": (raw(orjson.dumps(rows, option=orjson.OPT_INDENT_2)), loaded("json"), {}),
    "json-ascii.jsonl": (lines(NESTED), loaded("json"), {}),
    "json-crlf.jsonl": (lines(NESTED, end="\r\n"), loaded("json"), {}),
    "json-blank-lines.jsonl": (lines(rows, end="\n\n"), loaded("json"), {}),
    "json-mark.jsonl": (raw("\ufeff" + "".join(json.dumps(row) + "\n" for row in rows)), written(TEXTS), {}),
    "json-not-numbers.jsonl": (lines(NOT_NUMBERS), written(TEXTS), {}),
    "json-not-numbers.json": (raw(json.dumps(NOT_NUMBERS)), of_json(lambda all: all), {}),
    "jq-pretty.json": (lines(rows, lambda row: json.dumps(row, indent=2, ensure_ascii=False)), written(TEXTS), {}),
    "jq-pretty.jsonl": (lines(rows, lambda row: json.dumps(row, indent=2, ensure_ascii=False)), written(TEXTS), {}),
    "json-spaced-array.json": (raw("\n  [\n" + " ,\n".join(json.dumps(row) for row in rows) + "\n]\n\n"), loaded("json"), {}),
    "json-under-key.json": (raw(json.dumps({"version": "1.1", "data": rows, "more": [1]})), of_json(lambda all: all["data"]), {"jsonField": "data"}),
    "json-separators.jsonl": (raw('{"text":"a\u2028b\u2029c\x85d"}\n{"text":"e"}\n'), written(["a\u2028b\u2029c\x85d", "e"]), {}),
    "json-big-numbers.jsonl": (raw('{"id":123456789012345678901234567890,"text":"a"}\n{"id":1e400,"text":"b"}\n'), written(["a", "b"]), {}),
    "lines.txt": (raw("one\ntwo\n\nthree"), written(["one", "two", "three"]), {}),
    "lines-crlf.txt": (raw("one\r\ntwo\r\n"), loaded("text"), {}),
    "lines-return.txt": (raw("one\rtwo\rthree\r"), loaded("text"), {}),
    "lines.txt.gz": (raw(gzip.compress("one\nÜnï\n".encode(), mtime=0)), loaded("text"), {}),
    "paragraphs.txt": (raw("one\nmore\n\ntwo\n\nthree"), loaded("text", sample_by="paragraph"), {"textBy": "paragraph"}),
    "document.txt": (raw("one\n\ntwo\n"), loaded("text", sample_by="document"), {"textBy": "file"}),
    "document.md": (raw("# A title\n\nText.\n"), loaded("text", sample_by="document"), {}),
}
