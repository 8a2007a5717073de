// Line charts as one SVG, side by side; x is logarithmic, y begins at 0.
const WIDTH = 360;
const HEIGHT = 260;
const MARGIN = { left: 56, right: 16, top: 34, bottom: 44 };
const COLOURS = ["#1f6fb2", "#c8553d", "#4c956c"];

/** A round number of at least `top`, for the axis. */
function ceiling(top) {
  const unit = 10 ** Math.floor(Math.log10(top));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * unit).find((n) => n >= top);
}

const text = (x, y, content, more = "") => `<text x="${x}" y="${y}" ${more}>${content}</text>`;

function chart({ title, x: label, series }, left) {
  const points = Object.values(series).flat();
  const xs = [...new Set(points.map(([x]) => x))];
  const top = ceiling(Math.max(...points.map(([, y]) => y)));
  const [low, high] = [Math.log(Math.min(...xs)), Math.log(Math.max(...xs))];
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const at = ([x, y]) => [
    left + MARGIN.left + ((Math.log(x) - low) / (high - low)) * inner.width,
    MARGIN.top + (1 - y / top) * inner.height,
  ];
  const parts = [text(left + MARGIN.left, 20, title, 'font-weight="bold"')];
  for (let i = 0; i <= 4; i++) {
    const [, y] = at([xs[0], (top * i) / 4]);
    parts.push(
      `<line x1="${left + MARGIN.left}" x2="${left + WIDTH - MARGIN.right}" y1="${y}" y2="${y}" stroke="#ddd"/>`,
    );
    parts.push(text(left + MARGIN.left - 6, y + 4, (top * i) / 4, 'text-anchor="end"'));
  }
  for (const x of xs) parts.push(text(at([x, 0])[0], HEIGHT - MARGIN.bottom + 16, x, 'text-anchor="middle"'));
  parts.push(text(left + MARGIN.left + inner.width / 2, HEIGHT - 8, label, 'text-anchor="middle"'));
  const names = [];
  for (const [i, [name, line]] of Object.entries(series).entries()) {
    const colour = COLOURS[i % COLOURS.length];
    const path = line
      .map((point) =>
        at(point)
          .map((n) => n.toFixed(1))
          .join(","),
      )
      .join(" ");
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const point of line) {
      const [cx, cy] = at(point);
      parts.push(`<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="3" fill="${colour}"/>`);
    }
    names.push(`<tspan dx="8" fill="${colour}">${name}</tspan>`);
  }
  // Above the lines: they may run anywhere.
  if (names.length > 1) parts.push(text(left + WIDTH - MARGIN.right, 20, names.join(""), 'text-anchor="end"'));
  return parts.join("\n");
}

/** @param charts each with a title, the x axis' label and series of [x, y] by name */
export function lines(charts) {
  const width = WIDTH * charts.length;
  const body = charts.map((each, i) => chart(each, WIDTH * i)).join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
${body}
</svg>
`;
}
