// The page of one run, or of several beside each other: one HTML file that loads nothing.
import { bytes } from "../base/text.js";
import { packageVersion } from "../base/version.js";
import type { Line, Run, RunFacts, TextFacts } from "./facts.js";
import { inPage, legendOf, type Plot, readingsOf } from "./plot.js";
import { SCRIPT } from "./script.js";
import { bestEvaluation } from "./series.js";
import { STYLE } from "./style.js";
import { escaped, seconds, short } from "./text.js";
import { seriesColour, VARIABLES } from "./theme.js";

/** A piece of the page that the live page replaces by itself. */
export interface Part {
  id: string;
  html: string;
}

export interface PageOptions {
  /** Added to the page's header, as controls. */
  controls?: string;
  /** Added to the page's script. */
  script?: string;
  /** What the page may connect to; nothing by default. */
  connect?: string;
}

const swatch = (i: number) => `<i class="swatch" style="background:${seriesColour(VARIABLES, i)}"></i>`;

/** The last line of a finished run; undefined where it has none. */
const summaryOf = ({ lines }: Run): Line | undefined => {
  const last = lines.at(-1);
  return last && "train_runtime" in last ? last : undefined;
};

const numberOf = (line: Line | undefined, key: string): number | undefined =>
  typeof line?.[key] === "number" ? line[key] : undefined;

function last(lines: readonly Line[], key: string): Line | undefined {
  return lines.findLast((line) => typeof line[key] === "number");
}

/** The results of a run in a few numbers: names and values, a dash where there is none. */
function numbers(run: Run): [string, string][] {
  const { facts, lines } = run;
  const summary = summaryOf(run);
  const at = <T>(value: T | undefined | null, shown: (value: T) => string) =>
    value === undefined || value === null ? "–" : shown(value);
  const lossLine = last(lines, "loss");
  const bestLine = bestEvaluation(lines);
  const done = summary?.step ?? lines.at(-1)?.step ?? 0;
  const total = facts?.steps ?? null;
  const runtime = numberOf(summary, "train_runtime") ?? sum(Object.values(facts?.seconds ?? {}));
  const speed = numberOf(summary, "train_tokens_per_second") ?? numberOf(last(lines, "tokens_per_s"), "tokens_per_s");
  return [
    ["steps", total === null || total === done ? short(done) : `${short(done)} of ${short(total)}`],
    ["last training loss", at(numberOf(lossLine, "loss"), short)],
    ["best evaluation loss", bestLine ? `${short(bestLine.eval_loss as number)} (step ${short(bestLine.step)})` : "–"],
    ["speed", at(speed, (value) => `${short(Math.round(value))} tokens/s`)],
    ["time", runtime > 0 ? seconds(runtime) : "–"],
    ["peak memory", at(facts?.peak_memory_bytes ?? numberOf(summary, "peak_memory_bytes"), bytes)],
    ["trainable parameters", at(facts?.parameters.trainable, (value) => short(value))],
  ];
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

function stateOf({ facts, name }: Run): string {
  if (!facts) return `${name}, a run of an earlier version: settings, data, memory and times were not written down.`;
  const base = String(facts.config.base_model ?? "");
  const versions = Object.entries(facts.versions).map(([what, version]) => `${what} ${version}`);
  const times = `begun ${facts.started.slice(0, 16).replace("T", " ")}${facts.ended ? `, ended ${facts.ended.slice(0, 16).replace("T", " ")}` : ""} (UTC)`;
  return `${facts.state}; ${times}; base ${base}; ${versions.join(", ")}`;
}

function head(runs: readonly Run[]): string {
  const [only] = runs;
  if (runs.length === 1 && only) {
    const tiles = numbers(only).map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`);
    return `<p class="muted">${escaped(stateOf(only))}</p><dl class="numbers">${tiles.join("")}</dl>`;
  }
  const rows = runs.map((run, i) => {
    const cells = numbers(run).map(([, value]) => `<td class="n">${escaped(value)}</td>`);
    return `<tr><th scope="row">${swatch(i)}${escaped(run.name)}</th>${cells.join("")}</tr>`;
  });
  const names = numbers(only!).map(([name]) => `<th scope="col" class="n">${name}</th>`);
  const states = runs.map((run) => `<li>${escaped(run.name)}: ${escaped(stateOf(run))}</li>`);
  return `<div class="card table"><table><thead><tr><th scope="col">run</th>${names.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>
<details><summary>How they ran</summary><ul>${states.join("")}</ul></details>`;
}

/** For a `script` element. */
const json = (value: object) => JSON.stringify(value).replaceAll("<", "\\u003c");

function figure(plot: Plot): string {
  const legend = legendOf(plot).map(
    ({ name, colour }) => `<li><i style="background:${seriesColour(VARIABLES, colour)}"></i>${escaped(name)}</li>`,
  );
  const named = legend.length > 1 ? `<ul class="legend">${legend.join("")}</ul>` : "";
  const readings = readingsOf(plot);
  const reading = readings
    ? `<div class="reading"><input type="range" aria-label="${escaped(plot.title)}: ${readings.name} to read"><output aria-live="polite"></output></div><script type="application/json">${json(readings)}</script>`
    : "";
  const drawn =
    plot.kind === "picture"
      ? `<div class="picture" tabindex="0" role="group" aria-label="${escaped(plot.title)}, to scroll"><img alt="${escaped(`${plot.title}. ${plot.summary}`)}" src="data:image/svg+xml;base64,${Buffer.from(plot.svg).toString("base64")}"></div>`
      : inPage(plot, VARIABLES);
  return `<figcaption><h3>${escaped(plot.title)}</h3>${named}</figcaption>${drawn}${reading}`;
}

function samples(runs: readonly Run[]): string {
  const prompts = [...new Set(runs.flatMap(({ facts }) => facts?.samples.map(({ prompt }) => prompt) ?? []))];
  if (prompts.length === 0) return "";
  const cards = prompts.map((prompt) => {
    const texts = runs.flatMap((run, i) => {
      const found = run.facts?.samples.find((sample) => sample.prompt === prompt);
      if (!found) return [];
      const whose = runs.length === 1 ? "" : `${swatch(i)}${escaped(run.name)}, `;
      const text = (when: string, words: string | undefined) =>
        words === undefined
          ? ""
          : `<h3>${whose}${when}</h3><div class="sample">${escaped(words) || "<i>nothing</i>"}</div>`;
      return [text("before training", found.before), text("after training", found.after)];
    });
    return `<div class="card"><div class="sample prompt">${escaped(prompt)}</div>${texts.join("")}</div>`;
  });
  return `<h2>Samples</h2><div class="samples">${cards.join("")}</div>`;
}

/** Rows by name, a column for each of several things. */
function table(columns: string[], rows: [string, string[]][]): string {
  const names = columns.some((name) => name !== "")
    ? `<thead><tr><td></td>${columns.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>`
    : "";
  const body = rows.map(
    ([name, cells]) =>
      `<tr><th scope="row">${escaped(name)}</th>${cells.map((cell) => `<td class="wrap">${escaped(cell)}</td>`).join("")}</tr>`,
  );
  return `<div class="card table"><table>${names}<tbody>${body.join("")}</tbody></table></div>`;
}

function textRows(facts: TextFacts): Record<string, string> {
  const percent = (share: number) => `${short(100 * share, 3)} %`;
  const masked = facts.tokens === 0 ? 0 : 1 - facts.learned_tokens / facts.tokens;
  const full: Record<string, string> =
    facts.cut === null ? { "of max_seq_length tokens": short(facts.full) } : { truncated: short(facts.cut) };
  return {
    texts: short(facts.texts),
    tokens: short(facts.tokens),
    "masked tokens": percent(masked),
    ...full,
    "shortest, in tokens": short(facts.shortest),
    median: short(facts.median),
    "longest of 95 %": short(facts.longest_of_95_percent),
    longest: short(facts.longest),
  };
}

function data(runs: readonly Run[]): string {
  const sides = runs.flatMap((run, i) => {
    if (!run.facts) return [];
    const { training, validation } = run.facts.data;
    const whose = runs.length === 1 ? "" : `${swatch(i)}${escaped(run.name)}, `;
    return [
      { name: `${whose}training`, rows: textRows(training) },
      { name: `${whose}validation`, rows: textRows(validation) },
    ];
  });
  if (sides.length === 0) return "";
  const names = [...new Set(sides.flatMap(({ rows }) => Object.keys(rows)))];
  const rows = names.map((name): [string, string[]] => [name, sides.map((side) => side.rows[name] ?? "–")]);
  return `<h2>Data</h2>${table(
    sides.map(({ name }) => name),
    rows,
  )}`;
}

function setting(facts: RunFacts | null, name: string): string {
  const value = facts?.config[name];
  if (value === undefined || value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function settings(runs: readonly Run[]): string {
  const names = [...new Set(runs.flatMap(({ facts }) => Object.keys(facts?.config ?? {})))];
  const rows = names
    .map((name): [string, string[]] => [name, runs.map(({ facts }) => setting(facts, name))])
    .filter(([, values]) => values.some((value) => value !== "–"));
  if (rows.length === 0) return "";
  const columns = runs.map(({ name }, i) => `${swatch(i)}${escaped(name)}`);
  if (runs.length === 1) {
    const pairs = rows.map(([name, [value]]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value!)}</dd></div>`);
    return `<h2>Settings</h2><dl class="card pairs">${pairs.join("")}</dl>`;
  }
  const isSame = ([, values]: [string, string[]]) => values.every((value) => value === values[0]);
  const [same, different] = [rows.filter(isSame), rows.filter((row) => !isSame(row))];
  const shared = same.map(([name, [value]]): [string, string[]] => [name, [value!]]);
  const apart = different.length > 0 ? table(columns, different) : "<p>They have the same settings.</p>";
  return `<h2>Settings</h2>${apart}<details id="same-settings"><summary>${same.length} settings that they share</summary>${table([""], shared)}</details>`;
}

/** The pieces of the page, in order. */
export function partsOf(runs: readonly Run[], plots: readonly Plot[]): Part[] {
  return [
    { id: "head", html: head(runs) },
    ...plots.map((plot) => ({ id: `plot-${plot.id}`, html: figure(plot) })),
    { id: "samples", html: samples(runs) },
    { id: "data", html: data(runs) },
    { id: "settings", html: settings(runs) },
  ];
}

function within({ id, html }: Part): string {
  if (id.startsWith("plot-")) return `<figure data-part="${id}">${html}</figure>`;
  return `<section data-part="${id}">${html}</section>`;
}

export function page(runs: readonly Run[], plots: readonly Plot[], options: PageOptions = {}): string {
  const { controls = "", script = "", connect = "'none'" } = options;
  const title =
    runs.length === 1 ? `Run ${runs[0]!.name}` : `${runs.length} runs: ${runs.map(({ name }) => name).join(", ")}`;
  const parts = partsOf(runs, plots);
  const [first, ...others] = parts;
  const figures = others.filter(({ id }) => id.startsWith("plot-"));
  const rest = others.filter(({ id }) => !id.startsWith("plot-"));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';style-src 'unsafe-inline';script-src 'unsafe-inline';img-src data:;connect-src ${connect}">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#plots">To the plots</a>
<header><h1>${escaped(title)}</h1>${controls}${within(first!)}</header>
<main>
<h2 id="plots">Plots</h2>
<div class="grid" id="figures">${figures.map(within).join("\n")}</div>
${rest.map(within).join("\n")}
</main>
<footer>Written by lowrank ${packageVersion()}. A step is an update of the optimizer. Masked tokens are read and not learned.</footer>
<script>${SCRIPT}${script}</script>
</body>
</html>
`;
}
