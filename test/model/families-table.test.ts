// The table of families in docs/base-models.md against the families' files.
import { expect, test } from "vitest";
import { findFamily, supportedModelTypes } from "../../src/model/families/index.js";
import { familiesTable } from "../support/families-table.js";

test("every family has its row, with its default target modules", () => {
  expect(familiesTable.flatMap(({ types }) => types).sort()).toEqual(supportedModelTypes().sort());
  for (const { types, targets } of familiesTable) {
    for (const type of types) expect([type, findFamily(type)!.targets.toSorted()]).toEqual([type, targets]);
  }
});
