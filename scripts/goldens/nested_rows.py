"""Writes test/nested-rows: the same rows of nested columns as Parquet, Arrow and JSON files, by the libraries that people use.

Usage: python scripts/goldens/nested_rows.py    (needs pyarrow, polars, duckdb and datasets)
"""
import datetime
import json
import pathlib
import shutil

import datasets
import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parents[2] / "test" / "nested-rows"
ROWS = 60
ROLES = ["system", "user", "assistant", None]
START = datetime.datetime(2024, 2, 29, 12, 30, 15, 250000)


def message(i: int, k: int):
    if (i + k) % 17 == 5:
        return None
    calls = [None, [], [{"name": "f", "arguments": f"{{{i}}}"}], [{"name": "g", "arguments": None}, None]][(i + 2 * k) % 4]
    return {
        "role": ROLES[(i + k) % 4],
        "content": None if (i * k) % 7 == 6 else f"Ünï {i} 🙂 " * (k % 3),
        "tool_calls": calls,
        "weight": [0.5, -1.25, None][(i + k) % 3],
        "train": [True, False, None][(i * 2 + k) % 3],
    }


COLUMNS = {
    "id": [i * 2**52 + i for i in range(ROWS)],
    "messages": [None if i % 13 == 12 else [message(i, k) for k in range(i % 6)] for i in range(ROWS)],
    "lists": [[[j] * j for j in range(i % 4)] + ([None] if i % 5 == 0 else []) for i in range(ROWS)],
    "meta": [None if i % 11 == 0 else {"at": START + datetime.timedelta(milliseconds=i), "day": (START + datetime.timedelta(days=i)).date(), "n": 4294967295 - i} for i in range(ROWS)],
    "pair": [None if i % 9 == 0 else [i / 2, -i / 4] for i in range(ROWS)],
    "counts": [[("a", i), ("b", None)][: i % 3] for i in range(ROWS)],
    "text": [f"text {i}" for i in range(ROWS)],
}

CALL = pa.struct([("name", pa.string()), ("arguments", pa.string())])


def schema(text: pa.DataType, role: pa.DataType, list_of=pa.list_) -> pa.Schema:
    one = pa.struct([("role", role), ("content", text), ("tool_calls", list_of(CALL)), ("weight", pa.float64()), ("train", pa.bool_())])
    meta = pa.struct([("at", pa.timestamp("us")), ("day", pa.date32()), ("n", pa.uint32())])
    return pa.schema(
        [
            ("id", pa.int64()),
            ("messages", list_of(one)),
            ("lists", list_of(list_of(pa.int32()))),
            ("meta", meta),
            ("pair", pa.list_(pa.float32(), 2)),
            ("counts", pa.map_(pa.string(), pa.int16())),
            ("text", text),
        ]
    )


def table(*of, **how) -> pa.Table:
    return pa.table(COLUMNS, schema=schema(*of, **how))


def arrow(name: str, rows: pa.Table, stream: bool = False, compression: str | None = None):
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(OUT / name, rows.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(rows, max_chunksize=23)


def plain(value):
    """A value as the test writes it: dates as ISO 8601, large numbers with an n, a pair of a map as a list."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat() + "T00:00:00.000Z"
    return f"{value}n" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53 else value


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    rows = table(pa.string(), pa.string())
    expected = [plain(row) for row in rows.to_pylist()]
    (OUT / "rows.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")

    pq.write_table(rows, OUT / "pyarrow.parquet")
    pq.write_table(rows, OUT / "pyarrow-pages.parquet", row_group_size=25, data_page_size=64, write_batch_size=3, use_dictionary=False)
    pq.write_table(rows, OUT / "pyarrow-v2.parquet", data_page_version="2.0", compression="zstd", data_page_size=100, write_batch_size=5)
    pq.write_table(rows, OUT / "pyarrow-items.parquet", use_compliant_nested_type=False, compression="gzip")
    delta = {"lists.list.element.list.element": "DELTA_BINARY_PACKED", "messages.list.element.content": "DELTA_BYTE_ARRAY"}
    pq.write_table(rows, OUT / "pyarrow-deltas.parquet", use_dictionary=False, column_encoding=delta)
    arrow("pyarrow.arrow", rows)
    arrow("pyarrow.arrows", table(pa.string(), pa.dictionary(pa.int8(), pa.string())), stream=True, compression="lz4")
    arrow("pyarrow-large.arrow", table(pa.large_string(), pa.string(), list_of=pa.large_list), compression="zstd")
    arrow("pyarrow-views.arrow", table(pa.string_view(), pa.dictionary(pa.int32(), pa.string())))
    arrow("pyarrow-slices.arrow", pa.concat_tables([rows.slice(0, 7), rows.slice(7)]))

    # Libraries without maps, or without lists of a fixed size in a file: the columns that all have.
    common = rows.drop_columns(["pair", "counts"])
    frame = polars.from_arrow(common)
    frame.write_parquet(OUT / "polars.parquet", data_page_size=200, row_group_size=29)
    frame.write_ipc(OUT / "polars.arrow")
    frame.write_ipc_stream(OUT / "polars.arrows")
    duckdb.sql("select * from common").write_parquet(str(OUT / "duckdb.parquet"))
    saved = datasets.Dataset(rows.select(["id", "messages", "lists", "text"]))
    saved.save_to_disk(OUT / "saved", num_shards=2)
    saved.to_json(OUT / "datasets.jsonl")


if __name__ == "__main__":
    main()
