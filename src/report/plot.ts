// Plots as SVG, by the scales and shapes of D3. Nothing here needs a browser.
import { type ScaleLinear, scaleBand, scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import type { Point } from "./series.js";
import { escaped, rounded, short } from "./text.js";
import { seriesColour, type Theme } from "./theme.js";

const WIDTH = 480;
const HEIGHT = 264;
const LEFT = 70;
const RIGHT = 24;
const TOP = 10;
const BOTTOM = 42;
const ROW = 26;
/** Width of the names of rows: at least, and at most. A character takes about 7. */
const NAMES = 150;
const MOST_NAMES = 230;
const CHARACTER = 7;
const LEGEND_ROW = 20;
const LONGEST_NAME = 22;

export interface Curve {
  name: string;
  /** Number of its colour. */
  colour: number;
  /** faint: beside its smoothed curve; dots: points far apart. */
  look: "line" | "faint" | "dots";
  points: readonly Point[];
}

interface Named {
  /** Also the name of its file. */
  id: string;
  title: string;
  /** One sentence for readers who do not see it. */
  summary: string;
}

export interface CurvePlot extends Named {
  kind: "curves";
  x: string;
  y: string;
  curves: Curve[];
}

/** Rows of parts, one after the other from left to right. */
export interface BarPlot extends Named {
  kind: "bars";
  x: string;
  rows: { name: string; parts: { name: string; value: number; colour: number }[] }[];
  shown: (value: number) => string;
}

export interface HistogramPlot extends Named {
  kind: "histogram";
  x: string;
  y: string;
  edges: number[];
  groups: { name: string; colour: number; counts: number[] }[];
}

/** Drawn elsewhere. */
export interface Picture extends Named {
  kind: "picture";
  svg: string;
}

export type Plot = CurvePlot | BarPlot | HistogramPlot | Picture;

/** What is drawn, and its height. */
interface Drawing {
  body: string;
  height: number;
}

const at = (value: number) => Number(value.toFixed(1));

function text(x: number, y: number, words: string, attributes: string): string {
  return `<text x="${at(x)}" y="${at(y)}" ${attributes}>${escaped(words)}</text>`;
}

/** The range of finite numbers; of none, or of one alone, a range around it. */
function domain(values: number[]): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) return [0, 1];
  if (least < most) return [least, most];
  const room = Math.abs(least) / 10 || 1;
  return [least - room, least + room];
}

/** The scales of a curves' plot. */
function scales({ curves }: CurvePlot) {
  const points = curves.flatMap((curve) => curve.points);
  const x = scaleLinear(domain(points.map(([step]) => step)), [LEFT, WIDTH - RIGHT]);
  const y = scaleLinear(domain(points.map(([, value]) => value)), [HEIGHT - BOTTOM, TOP]).nice(5);
  return { x, y };
}

type Linear = ScaleLinear<number, number>;

/** The numbers of an axis, in as many digits as tell them apart. */
function ticksOf(ticks: readonly number[]): string[] {
  for (let digits = 4; ; digits++) {
    const texts = ticks.map((tick) => short(tick, digits));
    if (digits === 15 || new Set(texts).size === texts.length) return texts;
  }
}

function axes(theme: Theme, x: Linear, y: Linear, names: { x: string; y: string }): string {
  const wholeSteps = x.ticks(6).filter(Number.isInteger);
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const ticks = y.ticks(5);
  const values = ticksOf(ticks);
  const lines = ticks.map((tick, i) => {
    const place = at(y(tick));
    return `<path d="M${LEFT},${place}H${right}" stroke="${theme.grid}"/>${text(LEFT - 7, place + 4, values[i]!, 'text-anchor="end"')}`;
  });
  // The last number would reach over the picture's edge.
  const anchor = (at: number) => `text-anchor="${at > right - 20 ? "end" : "middle"}"`;
  const steps = wholeSteps.map((tick) => text(x(tick), bottom + 17, short(tick), anchor(x(tick))));
  return `<g fill="${theme.muted}" font-size="12">${lines.join("")}${steps.join("")}${text((LEFT + right) / 2, HEIGHT - 7, names.x, 'text-anchor="middle"')}${text(0, 0, names.y, `text-anchor="middle" transform="translate(13 ${(TOP + bottom) / 2}) rotate(-90)"`)}</g><path d="M${LEFT},${bottom}H${right}" stroke="${theme.muted}"/>`;
}

function drawCurves(plot: CurvePlot, theme: Theme): Drawing {
  const { x, y } = scales(plot);
  const path = line<Point>(
    ([step]) => x(step),
    ([, value]) => y(value),
  )
    .defined(([, value]) => Number.isFinite(value))
    .digits(1);
  const drawn = plot.curves.map(({ colour, look, points }) => {
    const stroke = seriesColour(theme, colour);
    const d = path(points as Point[]) ?? "";
    const curve = `<path d="${d}" fill="none" stroke="${stroke}" stroke-width="${look === "faint" ? 1 : 2}" stroke-linejoin="round"${look === "faint" ? ' opacity="0.28"' : ""}/>`;
    const dots = look === "dots" || points.length === 1 ? points.filter(([, value]) => Number.isFinite(value)) : [];
    const circles = dots.map(
      ([step, value]) => `<circle cx="${at(x(step))}" cy="${at(y(value))}" r="3.2" fill="${stroke}"/>`,
    );
    return curve + circles.join("");
  });
  return { body: axes(theme, x, y, plot) + drawn.join(""), height: HEIGHT };
}

function drawBars({ rows, x: name, shown }: BarPlot, theme: Theme): Drawing {
  const height = rows.length * ROW + 12;
  const band = scaleBand(
    rows.map((_, i) => i),
    [6, height - 6],
  ).padding(0.25);
  const totals = rows.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0));
  const wanted = CHARACTER * Math.max(...rows.map((row) => row.name.length)) + 12;
  const names = Math.min(MOST_NAMES, Math.max(NAMES, wanted));
  const most = Math.floor((names - 12) / CHARACTER);
  // Its end tells a row from the others: runs of one folder begin alike.
  const nameOf = (name: string) => (name.length > most ? `…${name.slice(1 - most)}` : name);
  const x = scaleLinear([0, Math.max(...totals) || 1], [names, WIDTH - 92]);
  const drawn = rows.map((row, i) => {
    const [top, size] = [band(i)!, band.bandwidth()];
    let begin = 0;
    const parts = row.parts.map((part) => {
      const [from, to] = [x(begin), x(begin + part.value)];
      begin += part.value;
      const told = `<title>${escaped(`${part.name}: ${shown(part.value)}`)}</title>`;
      return `<rect x="${at(from)}" y="${at(top)}" width="${at(Math.max(to - from - 1, 0.5))}" height="${at(size)}" fill="${seriesColour(theme, part.colour)}">${told}</rect>`;
    });
    const middle = top + size / 2 + 4;
    return `${text(names - 8, middle, nameOf(row.name), 'text-anchor="end"')}${parts.join("")}${text(x(begin) + 6, middle, shown(totals[i]!), "")}`;
  });
  const below = text((names + WIDTH - RIGHT) / 2, height + 14, name, `text-anchor="middle" fill="${theme.muted}"`);
  return { body: `<g fill="${theme.text}" font-size="12">${drawn.join("")}${below}</g>`, height: height + 22 };
}

function drawHistogram(plot: HistogramPlot, theme: Theme): Drawing {
  const { edges, groups } = plot;
  const x = scaleLinear([edges[0]!, edges.at(-1)!], [LEFT, WIDTH - RIGHT]);
  const most = Math.max(1, ...groups.flatMap(({ counts }) => counts));
  const y = scaleLinear([0, most], [HEIGHT - BOTTOM, TOP]).nice(5);
  const bars = groups.flatMap(({ name, colour, counts }, group) =>
    counts.map((count, i) => {
      if (count === 0) return "";
      const width = (x(edges[i + 1]!) - x(edges[i]!)) / groups.length;
      const left = x(edges[i]!) + group * width;
      const told = `<title>${escaped(`${name}: ${short(count)} texts of ${short(edges[i]!)} to ${short(edges[i + 1]! - 1)} tokens`)}</title>`;
      return `<rect x="${at(left)}" y="${at(y(count))}" width="${at(Math.max(width - 1, 0.8))}" height="${at(y(0) - y(count))}" fill="${seriesColour(theme, colour)}">${told}</rect>`;
    }),
  );
  return { body: axes(theme, x, y, plot) + bars.join(""), height: HEIGHT };
}

function draw(plot: Exclude<Plot, Picture>, theme: Theme): Drawing {
  if (plot.kind === "curves") return drawCurves(plot, theme);
  return plot.kind === "bars" ? drawBars(plot, theme) : drawHistogram(plot, theme);
}

/** Names and colours, each once. A smoothed curve stands for both. */
export function legendOf(plot: Plot): { name: string; colour: number }[] {
  if (plot.kind === "picture") return [];
  const all =
    plot.kind === "curves"
      ? plot.curves
      : plot.kind === "histogram"
        ? plot.groups
        : plot.rows.flatMap(({ parts }) => parts);
  const byName = new Map(all.map(({ name, colour }) => [name, { name, colour }]));
  return plot.kind === "bars" && plot.rows.every(({ parts }) => parts.length === 1) ? [] : [...byName.values()];
}

const label = ({ title, summary }: Named) => escaped(`${title}. ${summary}`);

/** A plot within the page, whose style gives font and colours. */
export function inPage(plot: Plot, theme: Theme): string {
  if (plot.kind === "picture") return plot.svg;
  const { body, height } = draw(plot, theme);
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${label(plot)}">${body}</svg>`;
}

/** A plot as a file of its own, with title and legend. */
export function asFile(plot: Plot, theme: Theme): string {
  if (plot.kind === "picture") return plot.svg;
  const { body, height } = draw(plot, theme);
  const legend = legendOf(plot);
  const columns = Math.max(
    1,
    Math.min(
      3,
      Math.floor(
        (WIDTH - 20) / (26 + 7.2 * Math.min(LONGEST_NAME, Math.max(1, ...legend.map(({ name }) => name.length)))),
      ),
    ),
  );
  const items = legend.map(({ name, colour }, i) => {
    const [x, y] = [16 + (i % columns) * ((WIDTH - 20) / columns), 34 + height + LEGEND_ROW * Math.floor(i / columns)];
    const words = name.length > LONGEST_NAME && columns > 1 ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
    return `<rect x="${at(x)}" y="${y + 1}" width="12" height="12" rx="2" fill="${seriesColour(theme, colour)}"/>${text(x + 18, y + 11, words, `font-size="12" fill="${theme.text}"`)}`;
  });
  const whole = 40 + height + LEGEND_ROW * Math.ceil(legend.length / columns);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${whole}" width="${WIDTH}" height="${whole}" role="img" aria-label="${label(plot)}" font-family="DejaVu Sans, Verdana, sans-serif">
<rect width="${WIDTH}" height="${whole}" fill="${theme.background}"/>
${text(14, 22, plot.title, `font-size="15" font-weight="600" fill="${theme.text}"`)}
<g transform="translate(0 30)">${body}</g>
${items.join("")}
</svg>
`;
}

/** Numbers by which the page's script finds the point under the pointer; null where there is nothing to be read. */
export function readingsOf(plot: Plot) {
  if (plot.kind !== "curves") return null;
  const { x, y } = scales(plot);
  // The smoothed curve has the name of the curve itself, and comes after it.
  const shown = plot.curves.filter(({ name }, i) => plot.curves.findIndex((other) => other.name === name) === i);
  return {
    x: [...x.domain(), ...x.range()],
    y: [...y.domain(), ...y.range()],
    name: plot.x,
    curves: shown.map(({ name, colour, points }) => {
      const real = points.filter(([, value]) => Number.isFinite(value));
      return { name, colour, x: real.map(([step]) => step), y: real.map(([, value]) => rounded(value)) };
    }),
  };
}
