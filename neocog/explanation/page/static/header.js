// The head of the page: the picture, and what the network answers.

import { className, mostProbable, named, reachOf, said } from "./answers.js";
import { bar, el } from "./dom.js";
import { count, percent, written } from "./numbers.js";

/** The head; `whole` says that no channel is left out of the page. */
export function header(net, whole) {
  const y = net.probabilities.values;
  const [title, small] = titleOf(net, y);
  return el(
    "header",
    {},
    el("img", { class: "picture", src: net.image.src, alt: "the explained image" }),
    el(
      "div",
      {},
      el("h1", {}, title, " ", el("small", {}, small)),
      el("p", {}, wordsOf(net, y)),
      el(
        "p",
        { class: "hint" },
        `${count(net.parameters, "parameter")}. Every number below is the network’s own, for this image. Point at one to see how it was computed; choose Backward to see its gradient, which a training step would follow.`,
        whole
          ? ""
          : " To keep this file small it has only some channels of each layer, those that matter most for the loss; neocog explore shows all of them.",
      ),
    ),
    el(
      "table",
      { class: "plain answers" },
      el(
        "tbody",
        {},
        mostProbable(net, y, net.kind === "class" ? 5 : 10).map((n) =>
          el(
            "tr",
            {},
            className(net, n),
            el("td", { class: "number" }, said(net, y[n])),
            el("td", {}, bar(y[n], reachOf(net, y))),
            net.kind === "label"
              ? el("td", {}, y[n] >= net.threshold ? "given" : "not given")
              : null,
          ),
        ),
      ),
    ),
  );
}

/** The answer in large letters, and what follows it in small ones. */
function titleOf(net, y) {
  if (net.kind === "label") return [named(net, y, net.threshold), ""];
  const n = net.kind === "number" ? net.label : net.predicted;
  return [net.className(n), said(net, y[n])];
}

function wordsOf(net, y) {
  const { name, label, loss, predicted, targets } = net;
  const explained = net.className(label);
  if (net.kind === "label")
    return `${name} gives every label that has at least ${percent(net.threshold)}: ${named(net, y, net.threshold)}. Explained is ${explained}, with ${percent(y[label])}. Taken for true: ${named(net, targets.values, 0.5)}; the loss is ${written(loss)}.`;
  if (net.kind === "number")
    return targets
      ? `${name} gives ${written(y[label])} for ${explained}; it is ${written(targets.values[label])}. The loss${net.classes.length > 1 ? ` of all ${net.classes.length} numbers` : ""} is ${written(loss)}.`
      : `${name} gives ${written(y[label])} for ${explained}. Nobody said what it is, so there is no error: gradients are those of the number itself, and where it says loss, read ${explained}.`;
  const first = `${name} predicts ${net.className(predicted)} with ${percent(y[predicted])}.`;
  return predicted === label
    ? `${first} The loss for that label is ${written(loss)}.`
    : `${first} The label is ${explained}, with ${percent(y[label])}: a loss of ${written(loss)}.`;
}
