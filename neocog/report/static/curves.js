// Loss, accuracy and learning rate over the epochs.

import { chart } from "./chart.js";
import { el, heads } from "./dom.js";
import { written } from "./numbers.js";
import { duration, percentage } from "./words.js";

// A loss that falls to less than this part of where it began is drawn by its powers of ten.
const STEEP = 0.05;

/** The section, or null without a history. */
export function curves({ history }) {
  if (!history) return null;
  const figures = [loss(history), accuracy(history), rate(history), tested(history)].filter(Boolean);
  if (!figures.length) return null;
  return [el("div", { class: "charts" }, figures), table(history)];
}

function loss(history) {
  const { running, loss: means, validation_loss: validation } = history;
  const several = means && means.x.length > 1;
  const series = [];
  if (running)
    series.push({
      name: several ? "training, batches" : "training",
      kind: several ? "running" : "training",
      ...running,
    });
  if (several || (means && !running))
    series.push({ name: "mean of the epoch", kind: "training", ...middle(means) });
  if (validation) series.push({ name: "validation", kind: "validation", ...validation });
  const values = series.flatMap(({ y }) => y.filter((value) => value !== null));
  if (!values.length) return null;
  const log = Math.min(...values) > 0 && Math.min(...values) < STEEP * Math.max(...values);
  const title = log ? "Loss (logarithmic)" : "Loss";
  return panel(title, chart({ label: summary("loss", series), series, log, from: log ? null : 0 }));
}

/** A mean belongs into the middle of what it is the mean of. */
function middle(curve) {
  return { ...curve, x: curve.x.map((x) => x - 0.5) };
}

function accuracy({ validation_accuracy: validation }) {
  if (!validation) return null;
  const series = [{ name: "validation", kind: "validation", ...validation }];
  const whole = (value) =>
    percentage(Number(value.toPrecision(4))).replace(/\.(\d*?)0+\u00a0%/, (_, digits) =>
      digits ? `.${digits}\u00a0%` : "\u00a0%",
    );
  const known = validation.y.filter((value) => value !== null);
  const least = Math.min(...known);
  // Where all are the same, the axis would go on above 100 %.
  const from = least === Math.max(...known) ? Math.max(0, least - 0.1) : null;
  return panel(
    "Accuracy",
    chart({ label: summary("accuracy", series, percentage), series, format: whole, from }),
  );
}

function rate({ lr }) {
  if (!lr || lr.x.length < 2) return null; // one number is no curve, and the settings have it
  const series = [{ name: "learning rate", kind: "training", ...lr }];
  return panel(
    "Learning rate",
    chart({ label: summary("learning rate", series), series, from: 0 }),
  );
}

function tested({ lr_test: found }) {
  if (!found) return null;
  const least = Math.min(...found.y.filter((value) => value !== null));
  const series = [{ name: "smoothed loss", kind: "training", ...found }];
  const label = `Loss by the learning rate that a step was taken with, ${written(least)} at least.`;
  // Losses that are far beyond the least one would make the rest flat.
  for (const key of ["y", "low", "high"])
    if (series[0][key])
      series[0][key] = series[0][key].map((v) => (v === null ? null : Math.min(v, 2 * least)));
  const across = "log\u2081\u2080 of the learning rate";
  return panel("Test of learning rates: loss by log\u2081\u2080 of the rate", chart({ label, series, across }));
}

function panel(title, content) {
  return el("div", { class: "card" }, el("h3", {}, title), content);
}

/** The curve in words, for those who do not see it. */
function summary(what, series, format = written) {
  const said = series.map(({ name, x, y }) => {
    const shown = Array.from(x.keys()).filter((n) => y[n] !== null);
    if (!shown.length) return `${name}: no numbers`;
    return `${name}: from ${format(y[shown[0]])} to ${format(y[shown.at(-1)])} at epoch ${written(x[shown.at(-1)])}`;
  });
  return `${what} by epoch. ${said.join("; ")}. The table below has the numbers.`;
}

function table({ epochs }) {
  if (!epochs.length) return null;
  const columns = [
    ["training loss", (value) => written(value)],
    ["validation loss", (value) => written(value)],
    ["validation accuracy", percentage],
    ["learning rate", (value) => written(value)],
    ["time", duration],
  ].map(([name, format], n) => [name, format, n + 1]);
  const known = columns.filter(([, , n]) => epochs.some((row) => row[n] !== null));
  return el(
    "details",
    {},
    el("summary", {}, "The epochs as a table"),
    el(
      "div",
      {
        class: "card scroll tall",
        tabindex: "0",
        role: "region",
        "aria-label": "the epochs as a table",
      },
      el(
        "table",
        { class: "plain" },
        heads("epoch", ...known.map(([name]) => name)),
        el(
          "tbody",
          {},
          epochs.map((row) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, String(row[0])),
              known.map(([, format, n]) =>
                el("td", { class: "number" }, row[n] === null ? "–" : format(row[n])),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
