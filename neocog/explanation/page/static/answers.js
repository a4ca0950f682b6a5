// The outputs of a network: classes or labels with their probabilities, or numbers.

import { el } from "./dom.js";
import { largest } from "./data.js";
import { percent, written } from "./numbers.js";

// Of more classes than this, only the most probable and the label are listed.
const LISTED = 20;

/** The classes that are listed, by their numbers. */
export function listed(net) {
  const all = Array.from(net.classes.keys());
  return all.length <= LISTED ? all : mostProbable(net, net.probabilities.values, LISTED);
}

/** The classes of the largest numbers, the largest first; the label's is always among them. */
export function mostProbable(net, values, most) {
  const best = Array.from(net.classes.keys())
    .sort((a, b) => values[b] - values[a])
    .slice(0, most);
  const listed = net.label === undefined || best.includes(net.label);
  return listed ? best : [...best.slice(0, most - 1), net.label];
}

/** A class's name at the head of a table's row; the label is marked. */
export function className(net, n) {
  return el(
    "th",
    { scope: "row", class: n === net.label ? "label" : null },
    net.className(n),
    n === net.label ? [" ", el("span", { class: "tag" }, tagOf(net))] : null,
  );
}

function tagOf(net) {
  return net.kind === "class" ? "label" : "explained";
}

/** The labels whose number is large enough, in words. */
export function named(net, values, least) {
  const there = Array.from(net.classes.keys()).filter((n) => values[n] >= least);
  const rest = there.length > LISTED ? ` and ${there.length - LISTED} more` : "";
  const names = there.slice(0, LISTED).map((n) => net.classes[n]);
  return there.length ? names.join(", ") + rest : "no label";
}

/** An output as text: a probability, or a number as it is. */
export function said(net, value) {
  return net.kind === "number" ? written(value) : percent(value);
}

/** The largest magnitude that a bar of some outputs has to reach. */
export function reachOf(net, values) {
  return net.kind === "number" ? largest(values) : 1;
}

/** What an output is called in a sentence: the number itself, or the probability of a label. */
export function quantity(net, n) {
  return net.kind === "number" ? net.className(n) : `the probability of ${net.className(n)}`;
}
