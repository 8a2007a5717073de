"""Writes test/odd-data: odd but valid data files by the libraries that people write them with, and cases.json, the texts
that a reference reads from each.

Usage: python scripts/goldens/odd_data.py
Needs pandas, pyarrow, polars, duckdb, fastparquet and datasets; the committed files were written by 3.1.1, 26.0.1, 2.1.0,
2.0.1, 2026.9.0 and 5.2.0.
"""
import json
import pathlib
import shutil

import datasets

import odd_columns
import odd_folders
import odd_rows

OUT = pathlib.Path(__file__).parents[2] / "test" / "odd-data"


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "folders").mkdir(parents=True)
    datasets.disable_progress_bars()
    cases = []
    for name, (write, read) in odd_columns.CASES.items():
        write(str(OUT / name))
        cases.append({"name": name, "texts": read(str(OUT / name))})
    for name, (write, read, options) in odd_rows.ROWS.items():
        write(str(OUT / name))
        cases.append({"name": name, **({"options": options} if options else {}), "texts": read(str(OUT / name))})
    for name, (write, split, read) in odd_folders.FOLDERS.items():
        folder = str(OUT / "folders" / name)
        write(folder)
        cases.append({"name": f"folders/{name}", "split": split, "texts": read(folder)})
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases,", sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()), "bytes")


main()
