"use strict";
// Elements, scales and axes: what tables and plots are drawn with.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes; children are elements or texts. */
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same of a drawing. */
function mark(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** From a number between lo and hi to a place between `from` and `to`; by ratio where `log`. */
function scale(lo, hi, from, to, log = false) {
  const at = log ? Math.log : (x) => x;
  const width = at(hi) - at(lo) || 1;
  return (x) => from + ((at(x) - at(lo)) / width) * (to - from);
}

/** Round numbers between lo and hi, about `count` of them. */
function ticks(lo, hi, count) {
  const rough = (hi - lo) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((one) => one * power >= rough * 0.999) || 10);
  const found = [];
  for (let at = Math.ceil(lo / step - 1e-9); at * step <= hi + step * 1e-6; at++) found.push(at * step);
  return found;
}

/** 1, 2 and 5 times powers of ten between lo and hi. */
function logTicks(lo, hi) {
  const found = [];
  for (let power = Math.floor(Math.log10(lo)); power <= Math.ceil(Math.log10(hi)); power++) {
    for (const one of [1, 2, 5]) {
      const x = one * 10 ** power;
      if (x >= lo && x <= hi) found.push(x);
    }
  }
  return found;
}

/** A number at an axis. */
function short(x) {
  return String(Number(x.toPrecision(3))).replace("-", "−");
}

/** Lowest and highest of the finite numbers, a twentieth of room on either side. */
function range(numbers) {
  const known = numbers.filter((x) => Number.isFinite(x));
  if (!known.length) return [0, 1];
  const lo = known.reduce((a, b) => Math.min(a, b));
  const hi = known.reduce((a, b) => Math.max(a, b));
  const room = (hi - lo || Math.abs(hi) || 1) / 20;
  return [lo - room, hi + room];
}

/** The path through points [x, y]; of steps, each height holds until the next point. */
function path(points, steps = false) {
  return points.map(([x, y], i) => (i === 0 ? `M${fixed(x)} ${fixed(y)}` : steps ? `H${fixed(x)}V${fixed(y)}` : `L${fixed(x)} ${fixed(y)}`)).join("");
}

function fixed(x) {
  return Number(x.toFixed(1));
}

/** A small panel of a figure: its frame with ticks, and functions to its coordinates. */
function panel([x0, x1], [y0, y1], size, options = {}) {
  const [width, height] = size;
  const left = 44;
  const bottom = height - 20;
  const x = scale(x0, x1, left, width - 8, options.log);
  const y = scale(y0, y1, bottom, 6);
  const picture = mark("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  picture.append(mark("path", { class: "frame", d: `M${left} 6V${bottom}H${width - 8}` }));
  for (const at of ticks(y0, y1, options.rows || 3)) {
    picture.append(mark("text", { x: left - 4, y: fixed(y(at) + 3), "text-anchor": "end" }, short(at)));
  }
  const marks = options.log ? logTicks(x0, x1) : ticks(x0, x1, options.columns || 4).filter((at) => !options.whole || Number.isInteger(at));
  for (const at of marks) {
    picture.append(mark("text", { x: fixed(x(at)), y: height - 6, "text-anchor": "middle" }, short(at)));
  }
  return { picture, x, y };
}

/** Ascending heights near the wanted ones, at least `gap` apart and none above `limit`. */
function apart(wanted, gap, limit) {
  const heights = [];
  for (const height of wanted) heights.push(heights.length ? Math.max(height, heights[heights.length - 1] + gap) : height);
  for (let i = heights.length - 1, most = limit; i >= 0; i--) {
    heights[i] = Math.min(heights[i], most);
    most = heights[i] - gap;
  }
  return heights;
}

/** A name that may go on in the next line after a sign. */
function breakable(name) {
  return name.split(/(?<=[+:,])/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]));
}

/** Why there is nothing to see. */
function why(text) {
  return el("p", { class: "why" }, text);
}
