import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/**
 * A package that not every run needs: the one file that the build has made of it (scripts/bundle.mjs, PACKED), which loads in a fraction of the
 * time. Else the package: `require` opens its files one after the other, where `import` would open all of them at once.
 */
export function loadPackage(name: string): unknown {
  const load = createRequire(import.meta.url);
  const packed = fileURLToPath(new URL(`../chunks/${name}.cjs`, import.meta.url));
  return load(existsSync(packed) ? packed : name);
}
