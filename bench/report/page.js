// One view per comparison: what is chosen in it, what follows from that, and what is kept when the page is made anew.

const CHOICES = ["kind", "cutoff", "reference", "sampler", "loss", "model"];

class View {
  constructor(article) {
    this.article = article;
    this.data = JSON.parse(article.querySelector("script[type='application/json']").textContent);
    const [kind, cutoff] = this.data.metric.split("@");
    this.first = { kind, cutoff, reference: "0", text: "", sampler: "", loss: "", model: "", sort: "metric", down: true };
    this.state = { ...this.first, ...kept(article.dataset.at) };
    this.form = article.querySelector("form");
    this.fill();
    this.listen();
    this.update();
    this.links();
  }

  get metric() {
    return `${this.state.kind}@${this.state.cutoff}`;
  }

  get reference() {
    return this.data.references[Number(this.state.reference)] ?? null;
  }

  name() {
    return this.data.metrics[this.metric];
  }

  value(row) {
    return row.values[this.metric] ?? [null, null, "–", ""];
  }

  /** The row with the highest mean of those that did not fail. */
  best(metric) {
    const means = this.data.rows.map((row) => (row.failed ? null : (row.values[metric]?.[0] ?? null)));
    return means.reduce((best, mean, i) => (mean !== null && (best === null || mean > means[best]) ? i : best), null);
  }

  untested() {
    if (!this.data.references.length) return "There is no row to compare the others with.";
    return `Differences in ${this.name()} were not tested; make the report with --metric ${this.metric}.`;
  }

  notes() {
    const tested = this.reference?.metrics[this.metric];
    return tested ? this.reference.notes : [this.untested()];
  }

  /** The choices there are; those between one thing are left out. */
  fill() {
    const kinds = distinct(Object.keys(this.data.metrics).map((name) => name.split("@")[0]));
    const cutoffs = distinct(Object.keys(this.data.metrics).map((name) => name.split("@")[1]));
    this.options("kind", kinds.map((kind) => [kind, kind.toUpperCase()]));
    this.options("cutoff", cutoffs.map((k) => [k, k]));
    this.options("reference", this.data.references.map((one, at) => [String(at), one.label]));
    for (const kind of ["sampler", "loss", "model"]) {
      const names = distinct(this.data.rows.map((row) => row[kind].split(":")[0]).filter(Boolean)).sort();
      this.options(kind, [["", "all"], ...names.map((name) => [name, name])], 3);
    }
    this.form.elements.text.value = this.state.text;
  }

  options(name, choices, least = 2) {
    const select = this.form.elements[name];
    select.replaceChildren(...choices.map(([value, text]) => el("option", { value }, text)));
    if (!choices.some(([value]) => value === this.state[name])) this.state[name] = this.first[name];
    select.value = this.state[name];
    select.closest("label").hidden = choices.length < least;
  }

  listen() {
    const { elements } = this.form;
    for (const name of CHOICES) elements[name].addEventListener("change", () => this.choose({ [name]: elements[name].value }));
    elements.text.addEventListener("input", () => this.choose({ text: elements.text.value }));
    elements.clear.addEventListener("click", () => {
      this.choose({ text: "", sampler: "", loss: "", model: "" });
      this.fill();
    });
    elements.markdown.addEventListener("click", () => copy(markdownOf(this), "Markdown"));
    elements.latex.addEventListener("click", () => copy(latexOf(this), "LaTeX"));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const block of this.article.querySelectorAll(".copied")) {
      const button = block.querySelector("button");
      button.addEventListener("click", () => copy(block.querySelector("pre").textContent, button.textContent.replace("Copy ", "")));
    }
  }

  /** Links to the parts that have something to show. */
  links() {
    const parts = [...this.article.querySelectorAll("section:not([hidden])")];
    const links = parts.map((part) => el("a", { href: `#${part.id}` }, part.querySelector("h3").textContent));
    this.article.querySelector("nav").replaceChildren(...links);
  }

  choose(change) {
    Object.assign(this.state, change);
    keep(this.article.dataset.at, this.state);
    this.update();
  }

  /** Sort by a column; again, the other way. */
  sortBy(id, down) {
    const same = this.state.sort === id || (this.state.sort === "metric" && id === this.metric);
    this.choose({ sort: id, down: same ? !this.state.down : down });
    this.article.querySelector(`button[data-sort="${id}"]`).focus();
  }

  update() {
    this.draw();
    const all = this.data.rows.length;
    const count = this.rows.length === all ? `${all} rows` : `${this.rows.length} of ${all} rows`;
    this.article.querySelector(".count").textContent = `${count}.`;
    this.article.querySelector(".rows").replaceChildren(tableOf(this, (id, down) => this.sortBy(id, down)));
    this.article.querySelector(".notes").replaceChildren(...this.notes().filter(Boolean).map((note) => el("li", {}, note)));
  }

  draw() {
    this.rows = chosen(this);
    for (const section of this.article.querySelectorAll("[data-plot]")) {
      const parts = PLOTS[section.dataset.plot](this);
      section.hidden = !parts.length;
      section.replaceChildren(section.querySelector("h3"), ...parts);
    }
  }
}

/** What was chosen before the page was made anew; nothing where the browser keeps nothing for it. */
function kept(at) {
  try {
    return JSON.parse(sessionStorage.getItem(`${location.pathname} ${at}`)) ?? {};
  } catch {
    return {};
  }
}

function keep(at, state) {
  try {
    sessionStorage.setItem(`${location.pathname} ${at}`, JSON.stringify(state));
  } catch {
    // A page that may keep nothing starts from the beginning when it is opened again.
  }
}

/** Put a text on the clipboard and say so. */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { style: "position:fixed;top:0;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  tell(`${what} copied.`);
}

function tell(text) {
  const told = document.getElementById("told");
  told.textContent = text;
  setTimeout(() => { if (told.textContent === text) told.textContent = ""; }, 2500);
}

/** Of several comparisons show the chosen one. */
function choose() {
  const chooser = document.getElementById("chooser");
  if (!chooser) return;
  const show = () => {
    addEventListener("beforeprint", () => document.querySelectorAll(".warnings").forEach((one) => (one.open = true)));
for (const article of document.querySelectorAll(".subject")) article.hidden = article.dataset.at !== chooser.value;
    keep("chooser", chooser.value);
  };
  const before = kept("chooser");
  if (typeof before === "string" && chooser.options[before]) chooser.value = before;
  chooser.addEventListener("change", show);
  show();
}

/** Where a server keeps the page up to date, load it again once it has something else to show. */
function watch() {
  const { state } = document.body.dataset;
  if (!state) return;
  setInterval(async () => {
    try {
      const now = await (await fetch("state", { cache: "no-store" })).text();
      if (now !== state) location.reload();
    } catch {
      tell("The server is gone; the page stays as it is.");
    }
  }, 3000);
}

addEventListener("beforeprint", () => document.querySelectorAll(".warnings").forEach((one) => (one.open = true)));
for (const article of document.querySelectorAll(".subject")) new View(article);
choose();
watch();
