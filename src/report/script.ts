// The page's script: the reading of a plot under the pointer, and by the keys of its slider. It is text, for the browser has no modules of ours.

export const SCRIPT = `
"use strict";
const readable = (figure) => {
  const data = figure.querySelector("script[type='application/json']");
  if (!data || figure.dataset.ready) return;
  figure.dataset.ready = "1";
  const { x: [x0, x1, left, right], y: [y0, y1, bottom, top], name, curves } = JSON.parse(data.textContent);
  const svg = figure.querySelector("svg");
  const slider = figure.querySelector("input");
  const output = figure.querySelector("output");
  const steps = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b);
  if (steps.length < 2) { figure.querySelector(".reading").hidden = true; return; }
  slider.min = 0; slider.max = steps.length - 1; slider.value = steps.length - 1;
  const node = (kind) => svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", kind));
  const rule = node("path");
  rule.setAttribute("stroke", "var(--muted)"); rule.setAttribute("stroke-dasharray", "3 3");
  const marks = curves.map(({ colour }) => {
    const mark = node("circle");
    mark.setAttribute("r", 4.5); mark.setAttribute("fill", "var(--s" + (colour % 8) + ")");
    mark.setAttribute("stroke", "var(--card)"); mark.setAttribute("stroke-width", 1.5);
    return mark;
  });
  const nearest = (list, value) => {
    let low = 0, high = list.length - 1;
    while (high - low > 1) { const middle = (low + high) >> 1; if (list[middle] <= value) low = middle; else high = middle; }
    return Math.abs(list[low] - value) <= Math.abs(list[high] - value) ? low : high;
  };
  const place = (value, from, to, begin, end) => begin + ((value - from) / (to - from || 1)) * (end - begin);
  const show = (index) => {
    const step = steps[index];
    const at = place(step, x0, x1, left, right);
    rule.setAttribute("d", "M" + at + "," + top + "V" + bottom);
    const told = curves.map((curve, i) => {
      if (curve.x.length === 0) return "";
      const found = nearest(curve.x, step);
      marks[i].setAttribute("cx", place(curve.x[found], x0, x1, left, right));
      marks[i].setAttribute("cy", place(curve.y[found], y0, y1, bottom, top));
      const where = curve.x[found] === step ? "" : " (" + name + " " + curve.x[found] + ")";
      return curve.name + " " + curve.y[found] + where;
    });
    output.textContent = name + " " + step + ": " + told.filter(Boolean).join("; ");
    slider.setAttribute("aria-valuetext", output.textContent);
  };
  const visible = (isVisible) => { for (const each of [rule, ...marks]) each.style.display = isVisible ? "" : "none"; };
  show(steps.length - 1);
  visible(false);
  slider.addEventListener("input", () => { visible(true); show(Number(slider.value)); });
  slider.addEventListener("focus", () => { visible(true); show(Number(slider.value)); });
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const within = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    slider.value = nearest(steps, place(within, left, right, x0, x1));
    visible(true);
    show(Number(slider.value));
  });
};
const readAll = (part) => { for (const figure of part.querySelectorAll("figure")) readable(figure); };
readAll(document);
`;
