// The table of one view, as the page shows it and as Markdown and LaTeX have it.

/** The values of a list, each once, in order. */
function distinct(list) {
  return [...new Set(list)];
}

/** Columns from the left: title, sort key and cell of a row; a key that is null stands last whichever way is sorted. */
function columns(view) {
  const { data, metric } = view;
  const of = (name) => (i) => data.rows[i].values[name];
  const numbers = (name, title) => ({ id: name, title, key: (i) => of(name)(i)?.[0] ?? null, cell: (i) => metricCell(view, i, name) });
  const found = [
    { id: "name", title: "row", words: true, key: (i) => data.rows[i].name, cell: (i) => ({ text: data.rows[i].name }) },
    numbers(metric, data.metrics[metric]),
  ];
  const lines = view.reference?.metrics[metric];
  (lines ? view.reference.header : []).forEach((title, at) => {
    const key = (i) => [lines[i][2]?.[0], lines[i][2]?.[0], lines[i][3]][at] ?? null;
    found.push({ id: `difference ${at}`, title, key, cell: (i) => differenceCell(lines[i], at) });
  });
  const cutoff = metric.split("@")[1];
  for (const [name, title] of Object.entries(data.metrics)) {
    if (name !== metric && name.split("@")[1] === cutoff) found.push(numbers(name, title));
  }
  for (const name of ["epochs", "seconds"]) {
    found.push({ id: name, title: name, key: (i) => data.rows[i][name][0], cell: (i) => ({ text: data.rows[i][name][1] }) });
  }
  return found;
}

/** Mean and spread; bold what prints like the best, underlined what was not found to differ from it. */
function metricCell(view, i, name) {
  const row = view.data.rows[i];
  const value = row.values[name];
  if (!value) return { text: "–" };
  if (row.failed) return { text: value[0] === null ? "–" : `(${value[2]})` };
  const best = view.best(name);
  const bold = best !== null && value[2] === view.data.rows[best].values[name][2];
  const lines = view.data.references.find((one) => one.row === best)?.metrics[name];
  const line = lines?.[i];
  const under = !bold && Boolean(line) && line[3] !== null && !line[1];
  return { text: value[2], spread: value[3], bold, under };
}

function differenceCell(line, at) {
  const text = line[0][at] ?? "";
  const sign = at < 2 && line[1] && line[2] ? (line[2][0] > 0 ? "better" : "worse") : "";
  return { text: text + (at === 2 && line[1] ? " *" : ""), sign };
}

/** The indices of the rows that the filters leave, sorted. */
function chosen(view) {
  const { state, data } = view;
  const base = (label) => label.split(":")[0];
  const fits = (row) =>
    row.name.toLowerCase().includes(state.text.trim().toLowerCase()) &&
    ["sampler", "loss", "model"].every((kind) => !state[kind] || base(row[kind]) === state[kind]);
  const rows = data.order.filter((i) => fits(data.rows[i]));
  const all = columns(view);
  const column = all.find((one) => one.id === state.sort) ?? all[1];
  const way = state.down ? -1 : 1;
  const compare = (a, b) => {
    const failed = Boolean(data.rows[a].failed) - Boolean(data.rows[b].failed);
    const [x, y] = [column.key(a), column.key(b)];
    if (failed || x === null || y === null) return failed || (x === null) - (y === null);
    return way * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
  };
  return rows.sort(compare);
}

/** The table as HTML; a click on a title sorts by its column. */
function tableOf(view, sortBy) {
  const { state, data } = view;
  const shown = columns(view);
  const sorted = shown.some((one) => one.id === state.sort) ? state.sort : shown[1].id;
  const head = shown.map((column) => {
    const button = el("button", { type: "button", "data-sort": column.id }, column.title);
    button.addEventListener("click", () => sortBy(column.id, !column.words));
    const order = sorted === column.id ? (state.down ? "descending" : "ascending") : null;
    return el("th", { scope: "col", "aria-sort": order }, button);
  });
  const body = view.rows.map((i) => {
    const cells = shown.map((column, at) => {
      const { text, spread, bold, under, sign } = column.cell(i);
      const failed = column.words && data.rows[i].failed ? ` (${data.rows[i].failed})` : "";
      const inside = bold ? [el("strong", {}, text)] : under ? [el("u", {}, text)] : breakable(text + failed);
      return el(at ? "td" : "th", { scope: at ? null : "row", class: sign || null }, ...inside, ...(spread ? [" ", el("small", {}, spread)] : []));
    });
    return el("tr", { class: view.reference?.row === i ? "reference" : null }, ...cells);
  });
  return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
}

/** What is shown as GitHub's Markdown. */
function markdownOf(view) {
  const safe = (text) => text.replace(/[\\|*_<>]/g, "\\$&");
  const shown = columns(view);
  const styled = ({ text, spread, bold, under }) => {
    const plain = safe(text);
    return (bold ? `**${plain}**` : under ? `<ins>${plain}</ins>` : plain) + (spread ? ` ${spread}` : "");
  };
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const rows = view.rows.map((i) => line(shown.map((column) => styled(column.cell(i)))));
  const rule = `|${shown.map((column) => (column.words ? ":---" : "---:")).join("|")}|`;
  const notes = view.notes().map((note) => `- ${safe(note)}`);
  return [`**${safe(view.data.caption)}**`, "", line(shown.map((column) => safe(column.title))), rule, ...rows, "", ...notes, ""].join("\n");
}

/** What is shown as a LaTeX table with booktabs; characters are escaped as `bench` escapes them. */
function latexOf(view) {
  const { data } = view;
  const safe = (text) => [...text].map((char) => data.latex[char] ?? char).join("");
  const shown = columns(view);
  const styled = ({ text, spread, bold, under }) => {
    const plain = safe(text);
    const set = bold ? `\\textbf{${plain}}` : under ? `\\underline{${plain}}` : plain;
    return set + (spread ? ` {\\scriptsize ${safe(spread)}}` : "");
  };
  const rows = view.rows.map((i) => `${shown.map((column) => styled(column.cell(i))).join(" & ")} \\\\`);
  const count = `% ${view.rows.length} of ${data.rows.length} rows`;
  return [
    "% needs \\usepackage{booktabs}",
    count,
    "\\begin{table}",
    "\\centering\\small",
    `\\caption{${data.caption_latex}}`,
    `\\begin{tabular}{${shown.map((column) => (column.words ? "l" : "r")).join("")}}`,
    "\\toprule",
    `${shown.map((column) => safe(column.title)).join(" & ")} \\\\`,
    "\\midrule",
    ...rows,
    "\\bottomrule",
    "\\end{tabular}",
    "",
    `\\begin{minipage}{\\linewidth}\\footnotesize ${view.notes().map(safe).join(" ")}\\end{minipage}`,
    "\\end{table}",
    "",
  ].join("\n");
}
