// A picture of an adapter: layers from left to right, kinds of modules from top to bottom, as an SVG.
import type { ModuleAnalysis } from "./analysis.js";

/** A kind of modules, as far as the picture shows it. */
export interface Shown {
  kind: string;
  modules: Pick<ModuleAnalysis, "module" | "layer" | "rank99" | "norm" | "relativeNorm">[];
}

interface Panel {
  title: string;
  value: (module: Shown["modules"][number]) => number;
  shown: (value: number) => string;
}

const CELL = 26;
const LEFT = 170;
const TOP = 44;
/** Space below a panel: the numbers of the layers, and the scale. */
const BELOW = 58;

/** Dark blue over green to yellow, so that the order is seen without colours, too (viridis, sampled at quarters). */
const SCALE = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
] as const;

function colour(share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (SCALE.length - 1);
  const below = Math.min(Math.floor(place), SCALE.length - 2);
  const channel = (i: 0 | 1 | 2) => {
    const [from, to] = [SCALE[below]![i], SCALE[below + 1]![i]];
    return Math.round(from + (to - from) * (place - below));
  };
  return `rgb(${channel(0)},${channel(1)},${channel(2)})`;
}

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** Two panels: the rank that holds 99 % of the energy, and the norm of the update (relative to the weight's where that is known). */
export function heatMap(name: string, kinds: readonly Shown[]): string {
  const relative = kinds.every(({ modules }) => modules.every(({ relativeNorm }) => relativeNorm !== undefined));
  const panels: Panel[] = [
    { title: "Rank that holds 99 % of the update's energy", value: ({ rank99 }) => rank99, shown: String },
    relative
      ? {
          title: "Norm of the update over the weight's norm",
          value: ({ relativeNorm }) => relativeNorm!,
          shown: (value) => value.toPrecision(3),
        }
      : { title: "Norm of the update", value: ({ norm }) => norm, shown: (value) => value.toPrecision(3) },
  ];
  const layers = [...new Set(kinds.flatMap(({ modules }) => modules.map(({ layer }) => layer)))].sort((a, b) => a - b);
  const [width, panelHeight] = [LEFT + layers.length * CELL + 30, TOP + kinds.length * CELL + BELOW];
  const drawn = panels.map(
    (panel, i) => `<g transform="translate(0 ${34 + i * panelHeight})">${draw(panel, kinds, layers)}</g>`,
  );
  const height = 34 + panels.length * panelHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.max(width, 480)}" height="${height}" role="img" aria-label="${escaped(name)}" font-family="system-ui, sans-serif" font-size="12">
<style>svg{background:#fff;fill:#222}@media(prefers-color-scheme:dark){svg{background:#111;fill:#ddd}}</style>
<text x="12" y="24" font-size="15" font-weight="600">${escaped(name)}</text>
${drawn.join("\n")}
</svg>
`;
}

function draw({ title, value, shown }: Panel, kinds: readonly Shown[], layers: readonly number[]): string {
  const values = kinds.flatMap(({ modules }) => modules.map(value));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const share = (x: number) => (most > least ? (x - least) / (most - least) : 0.5);
  const rows = kinds.flatMap(({ kind, modules }, row) => [
    `<text x="${LEFT - 8}" y="${TOP + row * CELL + 17}" text-anchor="end">${escaped(kind)}</text>`,
    ...modules.map((module) => {
      const place = `x="${LEFT + layers.indexOf(module.layer) * CELL}" y="${TOP + row * CELL}"`;
      const told = `<title>${escaped(module.module)}: ${shown(value(module))}</title>`;
      return `<rect ${place} width="${CELL - 2}" height="${CELL - 2}" rx="3" fill="${colour(share(value(module)))}">${told}</rect>`;
    }),
  ]);
  const bottom = TOP + kinds.length * CELL;
  const numbers = layers.map((layer, i) =>
    i % 2
      ? ""
      : `<text x="${LEFT + i * CELL + CELL / 2 - 1}" y="${bottom + 13}" text-anchor="middle" font-size="10">${layer}</text>`,
  );
  const steps = Array.from(
    { length: 40 },
    (_, i) => `<rect x="${LEFT + 4 * i}" y="${bottom + 26}" width="4" height="10" fill="${colour(i / 39)}"/>`,
  );
  const ends = `<text x="${LEFT - 8}" y="${bottom + 35}" text-anchor="end" font-size="10">${shown(least)}</text><text x="${LEFT + 168}" y="${bottom + 35}" font-size="10">${shown(most)}</text>`;
  return `<text x="12" y="20" font-weight="600">${title}</text><text x="${LEFT}" y="${TOP - 8}" font-size="10">layer</text>
${rows.join("\n")}
${numbers.join("")}${steps.join("")}${ends}`;
}
