import { expect, test } from "vitest";
import { oneLine } from "../../src/tracking/progress.js";

test("a bar is one line of the terminal, whatever it says", () => {
  const long = "training ".repeat(30);
  const draw = (columns: number | undefined) =>
    oneLine(
      () => long,
      () => columns,
    )({} as never, {} as never, {});
  expect(draw(40)).toHaveLength(39);
  expect(draw(undefined)).toHaveLength(79);
  expect(draw(0)).toHaveLength(79);
  expect(draw(1000)).toBe(long);
});
