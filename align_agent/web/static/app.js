// What pages do besides what plain HTML does. Everything works without it.
"use strict";

// The curves, drawn again so that they can be read off point by point.
function draw(figure) {
  const x = JSON.parse(figure.dataset.x), y = JSON.parse(figure.dataset.y);
  if (x.length < 2 || typeof uPlot === "undefined") return;
  const weeks = figure.dataset.unit === "week";
  const style = getComputedStyle(figure);
  const ink = style.getPropertyValue("--soft").trim(), grid = style.getPropertyValue("--line").trim();
  const picture = figure.querySelector("svg");
  const asDate = (day) => new Date((day - 719163) * 86400000).toISOString().slice(0, 10);
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "11px sans-serif" };
  const place = document.createElement("div");
  figure.append(place);
  new uPlot({
    width: Math.max(260, figure.clientWidth), height: 190,
    scales: { x: { time: false } },
    legend: { live: true },
    series: [
      { label: weeks ? "week of" : "step", value: (_, v) => v === null ? "" : weeks ? asDate(v) : v },
      { label: "value", stroke: style.getPropertyValue("--accent").trim(), width: 2, value: (_, v) => v === null ? "" : Number(v.toPrecision(4)) },
    ],
    axes: [weeks ? { ...axis, values: (_, vs) => vs.map(asDate).map((d) => d.slice(5)) } : axis, { ...axis, size: 56 }],
  }, [x, y], place);
  if (!picture.querySelector(".mark")) picture.remove();
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
