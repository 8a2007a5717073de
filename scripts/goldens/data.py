"""Writes test/goldens-data: the same rows as Parquet and Arrow files of every kind, by pyarrow.

Usage: python scripts/goldens/data.py    (needs pyarrow; the committed files were written by version 26.0.1)
"""
import json
import os
import pathlib

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parents[2] / "test" / "goldens-data"
ROWS = 40
TEXTS = [("", "Ünïcödé 🙂 日本", "two\nlines", "again and again " * 8)[i % 4] + (f" row {i}" if i % 3 else "") for i in range(ROWS)]


def table(text: pa.DataType, nulls: bool = False) -> pa.Table:
    """Columns of several layouts before the texts, so that a reader has to pass over them."""
    texts = [None if nulls and i == 17 else t for i, t in enumerate(TEXTS)]
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "flag": pa.array([None if i % 5 == 0 else i % 2 == 0 for i in range(ROWS)]),
            "tags": pa.array([["a"] * (i % 3) for i in range(ROWS)]),
            "meta": pa.array([{"source": "x", "score": i / 2} for i in range(ROWS)]),
            "text": pa.array(texts).cast(text) if text != pa.string_view() else pa.array(texts, text),
            "label": pa.array([f"label {i % 2}" for i in range(ROWS)]).dictionary_encode(),
        }
    )


def parquet(name: str, rows: pa.Table, **options):
    pq.write_table(rows, OUT / f"{name}.parquet", row_group_size=15, **options)


def arrow(name: str, rows: pa.Table, stream: bool = False, compression: str | None = None):
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=stream)
    with new(OUT / name, rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=15)


def main():
    OUT.mkdir(exist_ok=True)
    (OUT / "texts.json").write_text(json.dumps([{"text": t} for t in TEXTS], ensure_ascii=False) + "\n")
    plain = table(pa.string())
    for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
        parquet(codec, plain, compression=codec)
    parquet("plain", plain, use_dictionary=False, data_page_size=200, write_batch_size=4, write_page_checksum=True)
    parquet("v2", plain, data_page_version="2.0", compression="zstd", write_page_checksum=True)
    for encoding in ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]:
        parquet(encoding.lower(), plain, use_dictionary=False, column_encoding={"text": encoding})
    parquet("nulls", table(pa.string(), nulls=True))
    required = pa.schema([f.with_nullable(f.name != "text") for f in plain.schema])
    parquet("required", plain.cast(required))

    arrow("file.arrow", plain)
    arrow("stream.arrows", plain, stream=True)
    arrow("large.arrow", table(pa.large_string()))
    arrow("view.arrow", table(pa.string_view()))
    arrow("dictionary.arrow", table(pa.dictionary(pa.int8(), pa.string())))
    arrow("dictionary.arrows", table(pa.dictionary(pa.int32(), pa.large_string())), stream=True)
    arrow("lz4.ipc", plain, compression="lz4")
    arrow("zstd.arrow", plain, compression="zstd")
    arrow("view-zstd.arrows", table(pa.string_view()), stream=True, compression="zstd")
    arrow("nulls.arrow", table(pa.string(), nulls=True))
    feather.write_feather(plain, str(OUT / "pandas.feather"))
    print(sum(os.path.getsize(f) for f in OUT.iterdir()), "bytes")


main()
