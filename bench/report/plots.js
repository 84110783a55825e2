// Figures of one view: its data, the chosen metric and reference, and the rows that its filters leave, in order.

const MOST_PANELS = 60;
const MOST_LABELS = 30;
const SMALL = [230, 120];

const PLOTS = { forest, matrix, curves, cost, tuning };

/** Differences to the chosen row with the intervals of the table. */
function forest(view) {
  const lines = view.reference && view.reference.metrics[view.metric];
  if (!lines) return [why(view.untested())];
  const base = view.data.rows[view.reference.row].name;
  const shown = view.rows.filter((i) => lines[i][2]);
  if (!shown.length) return [why("No row that is shown has an interval of its difference to this one.")];
  const [lo, hi] = range([0, ...shown.flatMap((i) => lines[i][2])]);
  const at = scale(lo, hi, 0, 100);
  const place = (x) => `left:${at(x).toFixed(2)}%`;
  const zero = () => el("u", { style: place(0) });
  const grid = el("div", { class: "forest", role: "table", "aria-label": `Differences to ${base}` });
  for (const i of shown) {
    const [texts, found, [difference, from, to]] = lines[i];
    const clear = from > 0 || to < 0;
    const words = `${texts[0]}${found ? " *" : ""}`;
    const name = el("span", { class: "name", role: "rowheader" }, view.data.rows[i].name + (found && !clear ? " *" : ""));
    const line = el("i", { style: `${place(from)};width:${(at(to) - at(from)).toFixed(2)}%` });
    const point = el("b", { class: clear ? "apart" : "", style: place(difference) });
    const bar = el("span", { class: "bar", role: "cell", title: words }, zero(), line, point);
    grid.append(el("span", { role: "row", style: "display:contents" }, name, bar, el("span", { class: "words", role: "cell" }, words)));
  }
  const axis = el("span", { class: "bar axis", "aria-hidden": "true" });
  for (const x of ticks(lo, hi, 4)) axis.append(el("span", { style: place(x) }, short(x)));
  grid.append(el("span"), axis, el("span", { class: "words" }));
  const said = `${view.name()}: row − ${base}, with the intervals of the table. Filled: the interval leaves 0 out; *: found to differ.`;
  return [el("p", { class: "why" }, said), grid];
}

/** Samplers down, losses across, shaded by the chosen metric; a table of its own for each model. */
function matrix(view) {
  const { rows } = view.data;
  const trained = rows.map((row, i) => [row, i]).filter(([row]) => row.sampler && row.loss);
  if (distinct(trained.map(([row]) => row.sampler)).length < 2 && distinct(trained.map(([row]) => row.loss)).length < 2) {
    return [why("There are no several samplers or losses to set against each other.")];
  }
  const means = trained.filter(([row]) => !row.failed).map(([row]) => view.value(row)[0]).filter((x) => x !== null);
  const lo = means.reduce((a, b) => Math.min(a, b), Infinity);
  const hi = means.reduce((a, b) => Math.max(a, b), -Infinity);
  const parts = [el("p", { class: "why" }, `${view.name()}, the darker (or, on a dark page, the lighter) the higher; framed: the best.`)];
  for (const model of distinct(trained.map(([row]) => row.model))) {
    const of = trained.filter(([row]) => row.model === model);
    const losses = distinct(of.map(([row]) => row.loss));
    const head = el("tr", {}, el("th", { scope: "col" }, model), ...losses.map((loss) => el("th", { scope: "col" }, loss)));
    const body = distinct(of.map(([row]) => row.sampler)).map((sampler) => {
      const cells = losses.map((loss) => heat(view, of.filter(([row]) => row.sampler === sampler && row.loss === loss), lo, hi));
      return el("tr", {}, el("th", { scope: "row" }, sampler), ...cells);
    });
    const table = el("table", { class: "heat" }, el("thead", {}, head), el("tbody", {}, ...body));
    parts.push(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Samplers and losses, ${model}` }, table));
  }
  const others = rows.filter((row) => !(row.sampler && row.loss)).map((row) => `${row.name} ${view.value(row)[2]}`);
  if (others.length) parts.push(el("p", { class: "why" }, `Without sampler and loss: ${others.join(", ")}.`));
  return parts;
}

function heat(view, here, lo, hi) {
  const known = here.filter(([row]) => !row.failed && view.value(row)[0] !== null);
  if (!known.length) return el("td", { class: "none" }, here.length ? "failed" : "");
  const best = known.map(([row]) => view.value(row)[0]).reduce((a, b) => Math.max(a, b));
  const t = hi > lo ? (best - lo) / (hi - lo) : 0.5;
  const title = known.map(([row]) => `${row.name}: ${view.value(row)[2]} ${view.value(row)[3]}`).join("; ");
  return el("td", { style: `--t:${t.toFixed(3)}`, class: best === hi ? "top" : "", title }, known.map(([row]) => view.value(row)[2]).join(" / "));
}

/** The validation metric over epochs, a panel per row, the other rows in grey. */
function curves(view) {
  const found = view.data.curves;
  if (typeof found === "string") return [why(found)];
  const all = Object.values(found.rows);
  const names = view.rows.map((i) => view.data.rows[i].name).filter((name) => found.rows[name]);
  if (!names.length) return [why("No row that is shown was trained.")];
  const x = [1, all.flatMap((one) => one.x).reduce((a, b) => Math.max(a, b), 2)];
  const y = range(all.flatMap((one) => [...one.mean, ...one.lo, ...one.hi]));
  const place = panel(x, y, SMALL);
  const line = (one, from, to) => path(one.x.slice(from, to).map((e, k) => [place.x(e), place.y(one.mean[from + k])]));
  const others = all.length <= MOST_PANELS ? all.map((one) => line(one, 0)).join("") : "";
  const panels = names.slice(0, MOST_PANELS).map((name) => {
    const one = found.rows[name];
    const { picture } = panel(x, y, SMALL, { whole: true });
    const stop = one.x.indexOf(one.stop);
    if (others) picture.append(mark("path", { class: "others", d: others }));
    if (one.lo.length) {
      const band = [...one.x.map((e, k) => [place.x(e), place.y(one.hi[k])]), ...one.x.map((e, k) => [place.x(e), place.y(one.lo[k])]).reverse()];
      picture.append(mark("path", { class: "band", d: `${path(band)}Z` }));
    }
    picture.append(mark("path", { class: "mean", d: line(one, 0, stop + 1) }));
    if (stop < one.x.length - 1) picture.append(mark("path", { class: "mean after", d: line(one, stop) }));
    picture.setAttribute("aria-label", `${found.metric} of ${name}, ${short(one.mean[one.mean.length - 1])} at the end`);
    return el("figure", {}, el("figcaption", {}, name), picture);
  });
  const rest = names.length > MOST_PANELS ? ` The first ${MOST_PANELS} of ${names.length} rows: filter or sort the table to see others.` : "";
  const said = `Validation ${found.metric} over epochs: mean over seeds, from the lowest to the highest as a band; dashed where a seed has stopped and keeps its last value; grey: the other rows.${rest}`;
  return [why(said), el("div", { class: "panels" }, ...panels)];
}

/** The chosen metric over training seconds, with the interval of each row. */
function cost(view) {
  const { rows } = view.data;
  const shown = view.rows.filter((i) => !rows[i].failed && view.value(rows[i])[0] !== null && rows[i].seconds[0] !== null);
  if (!shown.length) return [why("No row that is shown was trained.")];
  const seconds = shown.map((i) => Math.max(rows[i].seconds[0], 0.001));
  const [least, most] = [seconds.reduce((a, b) => Math.min(a, b)), seconds.reduce((a, b) => Math.max(a, b))];
  const log = most > 5 * least;
  const x = log ? [least * 0.8, most * 1.25] : [Math.max(0, least - (most - least) * 0.1 - 1e-3), most + (most - least) * 0.1 + 1e-3];
  const many = shown.length > MOST_LABELS;
  const spread = (i) => (many ? 0 : view.value(rows[i])[1] || 0);
  const y = range(shown.flatMap((i) => [view.value(rows[i])[0] - spread(i), view.value(rows[i])[0] + spread(i)]));
  const order = [...shown].sort((a, b) => view.value(rows[b])[0] - view.value(rows[a])[0]);
  const labelled = order.slice(0, MOST_LABELS);
  const height = Math.max(300, 40 + 14 * labelled.length);
  const [plot, whole] = [520, 800];
  const { picture, ...at } = panel(x, y, [plot, height], { log, rows: 5, columns: 6 });
  picture.setAttribute("viewBox", `0 0 ${whole} ${height}`);
  picture.setAttribute("aria-label", `${view.name()} against training seconds`);
  const place = (i) => [at.x(Math.max(rows[i].seconds[0], 0.001)), at.y(view.value(rows[i])[0])];
  const heights = apart(labelled.map((i) => place(i)[1]), 14, height - 24);
  labelled.forEach((i, k) => {
    const [px, py] = place(i);
    picture.append(mark("path", { class: "leader", d: path([[px, py], [plot + 4, heights[k]]]) }));
    picture.append(mark("text", { class: "label", x: plot + 8, y: fixed(heights[k] + 4) }, rows[i].name));
  });
  for (const i of order) {
    const [px, py] = place(i);
    const half = Math.abs(at.y(spread(i)) - at.y(0));
    const title = mark("title", {}, `${rows[i].name}: ${view.value(rows[i])[2]} ${view.value(rows[i])[3]}, ${rows[i].seconds[1]} s`);
    picture.append(mark("g", {}, title, mark("path", { class: "mean", d: path([[px, py - half], [px, py + half]]) }), mark("circle", { class: "point", cx: fixed(px), cy: fixed(py), r: 4 })));
  }
  if (many) picture.setAttribute("class", "many");
  const rest = many ? ` Names: the best ${MOST_LABELS} of ${order.length}.` : "";
  const interval = many ? "" : ` with the ${view.data.level} interval of each row,`;
  const said = `${view.name()}${interval} over training seconds per run${log ? " by ratio" : ""}.${rest}`;
  return [why(said), el("div", { class: "scroll wide", tabindex: 0, role: "region", "aria-label": "Accuracy against cost" }, picture)];
}

/** The best validation metric so far over trials, a panel per row whose settings were searched. */
function tuning(view) {
  const found = view.data.searches.filter((one) => one.best.some((x) => x !== null));
  if (!found.length) return [];
  const x = [1, found.map((one) => one.best.length).reduce((a, b) => Math.max(a, b), 2)];
  const y = range(found.flatMap((one) => [...one.scores, ...one.best.map((v) => v + one.spread), ...one.best.map((v) => v - one.spread)]));
  const panels = found.map((one) => {
    const { picture, ...at } = panel(x, y, SMALL, { whole: true });
    const points = one.best.map((v, k) => [at.x(k + 1), v === null ? null : at.y(v)]).filter(([, v]) => v !== null);
    const wide = Math.abs(at.y(one.spread) - at.y(0));
    const band = [...points.map(([px, py]) => [px, py - wide]), ...points.map(([px, py]) => [px, py + wide]).reverse()];
    picture.append(mark("path", { class: "band", d: `${path(band)}Z` }), mark("path", { class: "mean", d: path(points, true) }));
    one.scores.forEach((score, k) => {
      if (score !== null) picture.append(mark("circle", { class: one.given_up[k] ? "dot hollow" : "dot", cx: fixed(at.x(k + 1)), cy: fixed(at.y(score)), r: 2 }));
    });
    picture.setAttribute("aria-label", `Search of ${one.name}: within 1 % after ${one.enough} of ${one.best.length} trials`);
    return el("figure", {}, el("figcaption", {}, `${one.name}: within 1 % after ${one.enough} of ${one.best.length}`), picture);
  });
  const said = "Best validation metric so far over trials; band: one standard deviation over the seeds of the finalists; hollow: given up early.";
  return [why(said), el("div", { class: "panels" }, ...panels)];
}
