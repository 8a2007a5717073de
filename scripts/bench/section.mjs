// A benchmark's results in a document: between two comments that name it.
import { readFileSync, writeFileSync } from "node:fs";

/**
 * A place between `<!-- name -->` and `<!-- /name -->` in a file: a function that puts text there. Error where they are not there,
 * at once and not after the measuring.
 */
export function section(file, name) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const find = () => {
    const page = readFileSync(file, "utf8");
    const from = page.indexOf(begin);
    const to = page.indexOf(end);
    if (from < 0 || to < from) throw new Error(`${file}: expected ${begin} and ${end} behind it`);
    return [page.slice(0, from + begin.length), page.slice(to)];
  };
  find();
  return (text) => {
    const [before, after] = find();
    writeFileSync(file, `${before}\n\n${text.trim()}\n\n${after}`);
    console.error(`${file}: ${name} written`);
  };
}
