import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { Thread } from "../../src/report/thread.js";
import { temporaryFolders } from "../support/folders.js";

const folder = temporaryFolders();

test("a thread that ends without an answer fails all who wait, and who asks later", async () => {
  const file = join(folder(), "ends.mjs");
  writeFileSync(
    file,
    'import { parentPort } from "node:worker_threads";\nparentPort.on("message", () => process.exit(3));\n',
  );
  await using thread = new Thread<string, string>(pathToFileURL(file).href);
  const asked = await Promise.allSettled([thread.ask("one"), thread.ask("two")]);
  for (const each of asked)
    expect(each).toMatchObject({ reason: { message: expect.stringMatching(/has ended \(3\)/) } });
  await expect(thread.ask("three")).rejects.toThrow(/has ended \(3\)/);
});
