// What pages do besides what plain HTML does. Everything works without it.
"use strict";

// The curves, drawn again so that they can be read off point by point.
function draw(figure) {
  const x = JSON.parse(figure.dataset.x), y = JSON.parse(figure.dataset.y);
  const picture = figure.querySelector("svg"), said = picture.getAttribute("aria-label");
  const marks = [...picture.querySelectorAll(".mark")].map((line) => ({ at: Number(line.dataset.at), text: line.textContent.trim() }));
  if (x.length < 2 || typeof uPlot === "undefined") return;
  const weeks = figure.dataset.unit === "week";
  // Looked up at every drawing: light may turn to dark while the page is open.
  const colour = (name) => () => getComputedStyle(figure).getPropertyValue(name).trim();
  const asDate = (day) => new Date((day - 719163) * 86400000).toISOString().slice(0, 10);
  const named = new Map(marks.map((mark) => [mark.at, ` (${mark.text})`]));
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--soft"), grid, ticks: grid, font: "11px sans-serif" };
  const place = document.createElement("div");
  picture.replaceWith(place);
  const size = () => ({ width: Math.max(220, place.clientWidth), height: 190 });
  const plot = new uPlot({
    ...size(),
    scales: { x: { time: false } },
    legend: { live: true },
    padding: [marks.length ? 22 : null, null, null, null],
    hooks: { draw: [(u) => point(u, marks, colour("--attention")())] },
    series: [
      { label: weeks ? "week of" : "step", value: (_, v) => v === null ? "" : weeks ? asDate(v) + (named.get(v) ?? "") : v },
      { label: "value", stroke: colour("--accent"), width: 2, value: (_, v) => v === null ? "" : Number(v.toPrecision(4)) },
    ],
    axes: [weeks ? { ...axis, values: (_, vs) => vs.map(asDate).map((d) => d.slice(5)) } : axis, { ...axis, size: 56 }],
  }, [x, y], place);
  const canvas = place.querySelector("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", said);
  new ResizeObserver(() => plot.setSize(size())).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
}

// Upright lines with their names above; of names that would touch, the later one stays.
function point(u, marks, colour) {
  const { ctx, bbox: { left, top, width, height } } = u, ratio = uPlot.pxRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 4 * ratio]);
  ctx.font = `${11 * ratio}px sans-serif`;
  ctx.textBaseline = "bottom";
  let free = Infinity;
  for (const mark of [...marks].reverse()) {
    const at = Math.round(u.valToPos(mark.at, "x", true)) + (ratio % 2) / 2; // sharp
    ctx.beginPath();
    ctx.moveTo(at, top);
    ctx.lineTo(at, top + height);
    ctx.stroke();
    const wide = ctx.measureText(mark.text).width;
    const start = Math.min(Math.max(at - wide / 2, left), left + width - wide);
    if (start + wide > free) continue;
    ctx.fillText(mark.text, start, top - 3 * ratio);
    free = start - 6 * ratio;
  }
  ctx.restore();
}

// A night that runs: its phases move by themselves.
function watch(section) {
  const source = new EventSource(section.dataset.live);
  const said = section.querySelector("[data-figures]");
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    for (const phase of now.phases) {
      section.querySelector(`[data-phase="${phase.name}"]`).className = phase.state.replace(" ", "-");
    }
    section.querySelector("progress").value = now.done;
    const figures = Object.entries(now.figures).filter(([, v]) => v !== null).slice(0, 4);
    said.textContent = figures.length ? figures.map(([k, v]) => `${k} ${Number(v.toPrecision(4))}`).join(", ") : `in its phase ${now.phase}`;
  };
  source.addEventListener("end", () => { source.close(); location.reload(); });
  addEventListener("pagehide", () => source.close());
}

document.querySelectorAll("figure.chart").forEach(draw);
document.querySelectorAll("[data-live]").forEach(watch);
