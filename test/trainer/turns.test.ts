import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Turns } from "../../src/trainer/turns.js";

let milliseconds = 0;
beforeEach(() => {
  milliseconds = 0;
  vi.spyOn(performance, "now").mockImplementation(() => milliseconds);
});
afterEach(() => {
  vi.restoreAllMocks();
});

test("the time of a run that waits without its turn is its own where no other run has the turn", async () => {
  const turn = new Turns().join();
  await turn.take();
  await turn.during(async () => {
    milliseconds += 5;
  });
  expect(turn.now()).toBe(5);
});

test("a run's clock stands still while another run has the turn", async () => {
  const turns = new Turns();
  const [one, other] = [turns.join(), turns.join()];
  await one.take();
  const others = other.take().then(() => {
    milliseconds += 7;
    other.give();
  });
  await one.during(async () => {});
  await others;
  expect(one.now()).toBe(0);
  expect(other.now()).toBe(7);
});
