"""Odd but valid Parquet and Arrow files, as pandas, pyarrow, polars, duckdb, fastparquet and datasets write them."""
import datasets
import duckdb
import fastparquet
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ["plain", "", "Ünïcödé 🙂 日本", "two\nlines", "more than twelve bytes: a view points elsewhere"] * 2
ROWS = len(TEXTS)
KINDS = sorted(set(TEXTS))

frame = pd.DataFrame({"id": range(ROWS), "text": pd.Series(TEXTS, dtype=object), "score": [i / 3 for i in range(ROWS)]})
polar = pl.DataFrame({"id": range(ROWS), "text": TEXTS, "score": [i / 3 for i in range(ROWS)]})
nested = pa.table(
    {
        "tags": [[{"a": "x", "b": [1, 2]}] * (i % 3) for i in range(ROWS)],
        "map": pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
        "inner": [{"text": "inner", "none": None}] * ROWS,
        "text": TEXTS,
        "text.more": ["another"] * ROWS,
    }
)


def only(values, kind: pa.DataType) -> pa.Table:
    """One column of texts, of an unusual type."""
    is_bytes = kind in (pa.binary(), pa.large_binary(), pa.binary_view())
    if pa.types.is_dictionary(kind):
        return pa.table({"text": pa.array(values).dictionary_encode().cast(kind)})
    return pa.table({"text": pa.array([v.encode() if is_bytes else v for v in values], kind)})


def encoded(value):
    return value.decode() if isinstance(value, bytes) else value


def read_parquet(path):
    return [encoded(value) for value in pq.ParquetFile(path).read()["text"].to_pylist()]


def read_arrow(path):
    try:
        table = pa.ipc.open_file(path).read_all()
    except pa.ArrowInvalid:
        table = pa.ipc.open_stream(path).read_all()
    return table["text"].to_pylist()


def by_pyarrow(table, **options):
    return lambda path: pq.write_table(table, path, **options)


def groups_of_none(path):
    with pq.ParquetWriter(path, nested.schema) as writer:
        for start, count in ((0, 0), (0, 4), (0, 0), (4, 6), (0, 0)):
            writer.write_table(nested.slice(start, count))


def by_polars(table=polar, **options):
    return lambda path: table.write_parquet(path, **options)


def by_duckdb(columns="*", options=""):
    def write(path):
        with duckdb.connect() as db:
            db.register("rows", frame)
            names = ", ".join("'" + kind.replace("'", "''") + "'" for kind in KINDS)
            db.execute(f"CREATE TYPE kinds AS ENUM ({names})")
            db.execute(f"COPY (SELECT {columns} FROM rows ORDER BY id) TO '{path}' (FORMAT parquet{options})")

    return write


def by_fastparquet(table=frame, **options):
    return lambda path: fastparquet.write(path, table, **options)


PARQUET = {
    "pandas.parquet.gzip": lambda path: frame.to_parquet(path, compression="gzip"),
    "pandas.parquet.snappy": lambda path: frame.to_parquet(path, compression="snappy"),
    "pandas.parquet.brotli": lambda path: frame.to_parquet(path, compression="brotli"),
    "pandas.parq": lambda path: frame.to_parquet(path),
    "pandas-category.parquet": lambda path: frame.astype({"text": "category"}).to_parquet(path),
    "pandas-index.parquet": lambda path: frame.set_index("id").to_parquet(path),
    "pandas-bytes.pq": lambda path: frame.assign(text=[t.encode() for t in TEXTS]).to_parquet(path),
    "fastparquet.parq": by_fastparquet(),
    "fastparquet-gzip.parquet": by_fastparquet(compression="GZIP"),
    "fastparquet-lz4.parquet": by_fastparquet(compression="LZ4"),
    "fastparquet-zstd.parquet": by_fastparquet(compression="ZSTD"),
    "fastparquet-groups.parquet": by_fastparquet(row_group_offsets=[0, 4, 4, 7]),
    "fastparquet-no-nulls.parquet": by_fastparquet(has_nulls=False),
    "fastparquet-category.parquet": by_fastparquet(frame.astype({"text": "category"})),
    "pyarrow-nested.parquet": by_pyarrow(nested),
    "pyarrow-1.0.parquet": by_pyarrow(nested, version="1.0", write_statistics=False),
    "pyarrow-v2-none.parquet": by_pyarrow(nested, data_page_version="2.0", compression="none"),
    "pyarrow-fallback.parquet": by_pyarrow(nested, dictionary_pagesize_limit=20, data_page_size=30, write_batch_size=2),
    "pyarrow-fallback-v2.parquet": by_pyarrow(
        nested, dictionary_pagesize_limit=20, data_page_size=30, write_batch_size=2, data_page_version="2.0"
    ),
    "pyarrow-page-index.parquet": by_pyarrow(nested, write_page_index=True, write_page_checksum=True, row_group_size=4),
    "pyarrow-chunked-by-content.parquet": by_pyarrow(nested, use_content_defined_chunking=True),
    "pyarrow-deltas.parquet": by_pyarrow(
        nested.select(["text"]), use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"}
    ),
    "pyarrow-delta-lengths.parquet": by_pyarrow(
        nested.select(["text"]), use_dictionary=False, column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY"}
    ),
    "pyarrow-int96.parquet": by_pyarrow(
        nested.add_column(0, "time", pa.array(pd.date_range("2020", periods=ROWS))), use_deprecated_int96_timestamps=True
    ),
    "pyarrow-large.parquet": by_pyarrow(only(TEXTS, pa.large_string())),
    "pyarrow-view.parquet": by_pyarrow(only(TEXTS, pa.string_view())),
    "pyarrow-binary.parquet": by_pyarrow(only(TEXTS, pa.binary())),
    "pyarrow-dictionary.parquet": by_pyarrow(only(TEXTS, pa.dictionary(pa.int16(), pa.string()))),
    "pyarrow-json.parquet": by_pyarrow(pa.table({"text": pa.array(['{"a": 1}'] * 3, pa.json_(pa.string()))})),
    "pyarrow-groups-of-none.parquet": groups_of_none,
    "pyarrow-nothing-beside.parquet": by_pyarrow(pa.table({"nothing": pa.nulls(ROWS), "text": ["the same"] * ROWS})),
    "pyarrow-all-empty.parquet": by_pyarrow(pa.table({"text": [""] * ROWS})),
    "polars.parquet": by_polars(),
    **{
        f"polars-{codec}.parquet": by_polars(compression=codec, statistics=False, row_group_size=4)
        for codec in ("lz4", "gzip", "brotli", "snappy", "uncompressed")
    },
    "polars-categorical.parquet": by_polars(polar.with_columns(pl.col("text").cast(pl.Categorical))),
    "polars-enum.parquet": by_polars(polar.with_columns(pl.col("text").cast(pl.Enum(KINDS)))),
    "polars-sink.parquet": lambda path: polar.lazy().sink_parquet(path),
    "polars-nested.parquet": by_polars(
        pl.DataFrame({"list": [[1, 2]] * ROWS, "struct": [{"text": "inner"}] * ROWS, "text": TEXTS}), data_page_size=64
    ),
    "duckdb.parquet": by_duckdb("id, text, [id] AS list, {'text': 'inner'} AS struct"),
    "duckdb-v2.parquet": by_duckdb(options=", PARQUET_VERSION V2"),
    "duckdb-v2-plain.parquet": by_duckdb(
        options=", PARQUET_VERSION V2, COMPRESSION uncompressed, STRING_DICTIONARY_PAGE_SIZE_LIMIT 1"
    ),
    **{f"duckdb-{codec}.parquet": by_duckdb(options=f", COMPRESSION {codec}") for codec in ("zstd", "lz4_raw", "gzip")},
    "duckdb-enum.parquet": by_duckdb("id, text::kinds AS text"),
    "duckdb-blob.parquet": by_duckdb("id, encode(text) AS text"),
    "datasets.parquet": lambda path: datasets.Dataset.from_dict({"text": TEXTS}).to_parquet(path),
}


def by_pyarrow_ipc(tables, stream=False, chunk=4, **options):
    """Each table in batches of at most `chunk` rows."""

    def write(path):
        new = pa.ipc.new_stream if stream else pa.ipc.new_file
        with new(path, tables[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            for table in tables:
                for batch in table.to_batches(max_chunksize=chunk) or [pa.RecordBatch.from_pylist([], table.schema)]:
                    writer.write_batch(batch)

    return write


def coded(indices, values):
    return pa.table({"text": pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), values)})


def kinds_beside():
    whole = pa.array(range(ROWS), pa.int64())
    zeros = pa.array([0] * ROWS, pa.int8())
    return pa.table(
        {
            "sparse": pa.UnionArray.from_sparse(zeros, [whole]),
            "dense": pa.UnionArray.from_dense(zeros, whole.cast(pa.int32()), [whole]),
            "nothing": pa.nulls(ROWS),
            "runs": pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array(["run"])),
            "lists": pa.array([["x"]] * ROWS, pa.list_view(pa.string())),
            "coded": pa.array(TEXTS).dictionary_encode(),
            "views": pa.array([b"abcdefghijklmnopqrstuvw"] * ROWS, pa.binary_view()),
            "text": pa.array(TEXTS, pa.string_view()),
        }
    )


def by_polars_ipc(table=polar, **options):
    return lambda path: table.write_ipc(path, **options)


def from_duckdb(settings):
    def write(path):
        with duckdb.connect() as db:
            db.register("rows", frame)
            db.execute(settings)
            table = db.sql("SELECT id, text FROM rows ORDER BY id").to_arrow_table()
        by_pyarrow_ipc([table])(path)

    return write


V4 = {"metadata_version": pa.ipc.MetadataVersion.V4}
codes = [coded([0, 1, 1], ["a", "b"]), coded([2, 1, 0], ["a", "b", "c"])]
category = polar.with_columns(pl.col("text").cast(pl.Categorical))

ARROW = {
    "polars.arrow": by_polars_ipc(),
    "polars-uncompressed.arrow": by_polars_ipc(compression="uncompressed"),
    "polars-lz4.ipc": by_polars_ipc(compression="lz4"),
    "polars-zstd.feather": by_polars_ipc(compression="zstd"),
    "polars-oldest.arrow": by_polars_ipc(compat_level=pl.CompatLevel.oldest()),
    "polars-batches.arrow": by_polars_ipc(record_batch_size=4),
    "polars-categorical.arrow": by_polars_ipc(category),
    "polars-categorical-oldest.arrow": by_polars_ipc(category, compat_level=pl.CompatLevel.oldest(), compression="lz4"),
    "polars-enum.arrow": by_polars_ipc(polar.with_columns(pl.col("text").cast(pl.Enum(KINDS)))),
    "polars-chunks.arrow": by_polars_ipc(pl.concat([polar, polar.slice(3, 4)], rechunk=False)),
    "polars-slice.arrow": by_polars_ipc(polar.slice(4, 5)),
    "polars-sink.arrow": lambda path: polar.lazy().sink_ipc(path),
    "polars-stream.arrows": lambda path: polar.write_ipc_stream(path),
    "polars-stream.arrow": lambda path: polar.write_ipc_stream(path, compression="lz4"),
    "pandas.feather": lambda path: frame.to_feather(path),
    "pandas-zstd.feather": lambda path: frame.to_feather(path, compression="zstd"),
    "pandas-chunks.feather": lambda path: frame.to_feather(path, compression="uncompressed", chunksize=4),
    "pyarrow-nested.arrow": by_pyarrow_ipc([nested]),
    "pyarrow-v4.arrow": by_pyarrow_ipc([nested], **V4),
    "pyarrow-legacy.arrow": by_pyarrow_ipc([nested], use_legacy_format=True, **V4),
    "pyarrow-legacy.arrows": by_pyarrow_ipc([nested], stream=True, use_legacy_format=True, **V4),
    "pyarrow-empty-batches.arrow": by_pyarrow_ipc([nested.slice(0, 0), nested, nested.slice(0, 0)]),
    "pyarrow-slice.arrow": by_pyarrow_ipc([nested.slice(3, 6)]),
    "pyarrow-kinds-beside.arrow": by_pyarrow_ipc([kinds_beside()]),
    "pyarrow-delta.arrow": by_pyarrow_ipc(codes, emit_dictionary_deltas=True),
    "pyarrow-delta.arrows": by_pyarrow_ipc(codes, stream=True, emit_dictionary_deltas=True),
    "pyarrow-replaced.arrows": by_pyarrow_ipc([codes[0], coded([0, 0], ["x"]), codes[1]], stream=True),
    "duckdb-view.arrow": from_duckdb("SET produce_arrow_string_view=true; SET arrow_output_version='1.5'"),
    "duckdb-large.arrow": from_duckdb("SET arrow_large_buffer_size=true"),
}

CASES = {name: (write, read_parquet) for name, write in PARQUET.items()} | {
    name: (write, read_arrow) for name, write in ARROW.items()
}
