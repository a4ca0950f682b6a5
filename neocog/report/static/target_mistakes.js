// The labels that are most wrong, or the numbers that are farthest off, with their pictures.

import { el } from "./dom.js";
import { figure, veiled } from "./mistakes.js";
import { written } from "./numbers.js";
import { Sheet } from "./sheet.js";
import { nameOf, percentage } from "./words.js";

/** The section, or null without an evaluation of labels or numbers. */
export function targetMistakes({ targets }) {
  if (!targets) return null;
  const { count, items, pictures } = targets.wrong;
  if (!items.length) return el("p", {}, "There is no mistake.");
  const sheet = pictures ? new Sheet(pictures) : null;
  const worst = targets.kind === "labels" ? "that are most wrong" : "that are farthest off";
  const looked = items.some((item) => item.grad_cam);
  const what = targets.kind === "labels" ? "labels" : "numbers";
  return [
    el(
      "p",
      { class: "caption" },
      items.length < count
        ? `The ${items.length} ${what} ${worst}, out of ${count.toLocaleString("en")}.`
        : `All of them, those first ${worst}.`,
      looked
        ? ` Beside each is what the network looked at. Grad-CAM: the features of the last maps that raise the ${targets.kind === "labels" ? "label’s score" : "number"}.`
        : "",
    ),
    el(
      "ul",
      { class: looked ? "mistakes looked" : "mistakes" },
      items.map((item, n) => card(item, n, sheet)),
    ),
  ];
}

function card(item, n, sheet) {
  const called = nameOf(item.name, item.index);
  const words = said(item);
  const picture = sheet?.picture(n, `${called}: ${words.join("")}`);
  return el(
    "li",
    { class: "card" },
    sheet
      ? el(
          "div",
          { class: "row-of-pictures" },
          item.grad_cam
            ? [
                figure(picture, "the picture"),
                veiled(sheet, n, item.grad_cam, 0, item.label, 0, "Grad-CAM"),
              ]
            : picture,
        )
      : null,
    el("p", {}, words[0], el("strong", {}, words[1]), words[2]),
    el("p", { class: "file" }, el("bdi", {}, called)),
  );
}

/** What is wrong, in three parts, the second of which is the label or the number. */
function said({ label, there, probability, target, predicted }) {
  if (probability === undefined)
    return [`${label}: `, written(predicted), `; it is ${written(target)}.`];
  const has = there ? "it has that label" : "it does not have it";
  return ["", label, ` ${percentage(probability)}; ${has}.`];
}
