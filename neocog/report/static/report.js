// The report of a run: what it reached at a glance, then each part in a section of its own.

import { calibration } from "./calibration.js";
import { classes } from "./classes.js";
import { confusion } from "./confusion.js";
import { curves } from "./curves.js";
import { resolve, unpack } from "./data.js";
import { el } from "./dom.js";
import { firstFilters } from "./first_filters.js";
import { glance } from "./glance.js";
import { labels } from "./labels.js";
import { mistakes } from "./mistakes.js";
import { scatter } from "./scatter.js";
import { facts, settings } from "./tables.js";
import { targetMistakes } from "./target_mistakes.js";

// [anchor, title, what shows it of a report, or null where there is nothing]
const SECTIONS = [
  ["curves", "Training", curves],
  ["confusion", "Confusion matrix", confusion],
  ["classes", "Per-class scores", classes],
  ["labels", "Per-label scores", labels],
  ["numbers", "Predicted against true", scatter],
  ["calibration", "Calibration", calibration],
  ["mistakes", "Worst mistakes", (report) => mistakes(report) ?? targetMistakes(report)],
  ["filters", "First-layer filters", firstFilters],
  ["settings", "Settings", settings],
  ["facts", "Timings, machine and versions", facts],
];

function show(root, report) {
  const sections = SECTIONS.map(([id, title, make]) => [id, title, make(report)]).filter(
    ([, , content]) => content,
  );
  root.replaceChildren(
    el(
      "header",
      { class: "report-head" },
      el("h1", {}, report.title),
      el("p", { class: "hint" }, `Report of ${report.written.replace("T", " ").slice(0, 16)} UTC`),
    ),
    ...[glance(report)].filter(Boolean),
    el(
      "nav",
      { class: "contents", "aria-label": "sections" },
      sections.map(([id, title]) => el("a", { href: `#${id}` }, title)),
    ),
    ...sections.map(([id, title, content]) =>
      el("section", { "aria-labelledby": id }, el("h2", { id }, title), content),
    ),
  );
}

async function open() {
  const root = document.getElementById("page");
  try {
    const structure = JSON.parse(document.getElementById("structure").textContent);
    const block = await unpack(document.getElementById("block").textContent);
    show(root, resolve(structure, block));
    // The browser looked for the address's anchor before it was there.
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  } catch (error) {
    root.textContent = `This page cannot be shown: ${error.message}. It needs a browser of 2023 or newer.`;
    throw error;
  }
}

open();
