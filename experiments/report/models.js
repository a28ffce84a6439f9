const get = (id) => document.getElementById(id);
const option = (select, value, text) => select.add(new Option(text, value));
const data = {};

function received(file, run) {
  data[file] = run;
  if (file === get("run").value) chooseRun();
}

function choose() {
  const file = get("run").value;
  if (data[file]) return chooseRun();
  const script = document.createElement("script");
  script.src = file;
  script.onerror = () => { get("state").textContent = "This run could not be loaded."; };
  get("state").textContent = "Loading …";
  document.body.append(script);
}

function element(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  if (text !== undefined) node.textContent = text;
  get("plot").append(node);
}

function draw() {
  const run = data[get("run").value];
  if (!run) return;
  const lines = run.histories[get("shown").value], chosen = get("strength").value;
  const values = lines.flat().filter((v) => v !== null);
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
  const epochs = lines[0].length - 1;
  const x = (e) => 54 + (380 * e) / epochs, y = (v) => 280 - (260 * (v - low)) / (high - low);
  get("plot").replaceChildren();
  element("path", { d: "M54 20V280H434", class: "axis" });
  [low, (low + high) / 2, high].forEach((v) =>
    element("text", { x: 48, y: y(v) + 4, "text-anchor": "end" }, v.toPrecision(3)));
  [0, Math.round(epochs / 2), epochs].forEach((e) =>
    element("text", { x: x(e), y: 296, "text-anchor": "middle" }, e));
  element("text", { x: 244, y: 314, "text-anchor": "middle" }, "epoch");
  const labelled = [];
  lines.forEach((line, i) => {
    const apart = chosen !== "all" && Number(chosen) !== i;
    const path = line.map((v, e) => v === null ? "" :
      (e === 0 || line[e - 1] === null ? "M" : "L") + x(e).toFixed(1) + " " + y(v).toFixed(1));
    const share = i / Math.max(1, lines.length - 1);
    element("path", { d: path.join(""), opacity: apart ? 0.15 : 1,
      style: `stroke: hsl(210 70% calc(var(--first) + ${share} * 28%))` });
    const last = line[line.length - 1];
    if (last !== null && !apart && labelled.every((at) => Math.abs(at - y(last)) >= 14)) {
      labelled.push(y(last));
      element("text", { x: 439, y: y(last) + 4 }, run.strengths[i]);
    }
  });
}

function showFilters(run) {
  get("filters").replaceChildren(...run.filters.map((filter) => {
    const strip = document.createElement("div"), image = new Image();
    strip.className = "strip";
    image.src = "data:image/png;base64," + filter.png;
    image.alt = "filters at strength " + filter.strength;
    strip.append(`σ² = ${filter.strength}`, image);
    return strip;
  }));
  if (!run.filters.length) get("filters").textContent = "No weight rows are stored of this run.";
}

function chooseRun() {
  const select = get("strength"), run = data[get("run").value];
  get("state").textContent = "";
  select.replaceChildren();
  option(select, "all", "all");
  run.strengths.forEach((s, i) => option(select, i, s));
  draw();
  showFilters(run);
}

explored.runs.forEach((run) => option(get("run"), run.file, run.label));
Object.entries(explored.histories).forEach(([name, text]) => option(get("shown"), name, text));
get("run").onchange = choose;
get("shown").onchange = get("strength").onchange = draw;
choose();
