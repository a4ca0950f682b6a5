// The mistakes that the network was surest of, and where in the picture it looked.

import { el } from "./dom.js";
import { paintVeil } from "./picture.js";
import { Sheet } from "./sheet.js";
import { nameOf, percentage } from "./words.js";

// A change of the log odds by less is not shown as if it were much.
const LEAST_REACH = 0.5;

/** The section, or null where no pictures were given. */
export function mistakes({ evaluation, mistakes: found }) {
  if (!found) return null;
  if (!found.items.length) return el("p", {}, "There is no mistake.");
  const sheet = new Sheet(found.pictures);
  const name = (n) => evaluation.classes[n] ?? `class ${n}`;
  const some =
    found.items.length < found.count
      ? `The ${found.items.length} it was surest of, out of ${found.count.toLocaleString("en")}.`
      : "All of them, the surest first.";
  const list = (kind, first, items) =>
    items.length
      ? el(
          "ul",
          { class: kind },
          items.map((item, n) => card(item, first + n, sheet, name)),
        )
      : null;
  // The first ones have maps.
  const looked = found.items.some((item) => item.grad_cam);
  const withMaps = found.items.filter((item) => item.maps).length;
  return [
    el(
      "p",
      { class: "caption" },
      `${some}${looked ? " Beside each is what the network looked at, for the class that it took it for and for the true one. Grad-CAM: the features of the last maps that raise the class’s score." : ""}${withMaps ? " Occlusion, in log odds: orange is evidence for a class (cover it, and the class becomes less probable), blue is evidence against it." : ""}`,
    ),
    list("mistakes mapped", 0, found.items.slice(0, withMaps)),
    list(looked ? "mistakes looked" : "mistakes", withMaps, found.items.slice(withMaps)),
  ];
}

function card(item, n, sheet, name) {
  const called = nameOf(item.name, item.index);
  const [label, predicted] = [name(item.label), name(item.predicted)];
  const picture = sheet.picture(n, `${called}: ${label} taken for ${predicted}`);
  const both = (maps, least, method) =>
    maps
      ? [
          veiled(sheet, n, maps, 0, predicted, least, method),
          veiled(sheet, n, maps, 1, label, least, method),
        ]
      : [];
  const looks = [
    ...both(item.grad_cam, 0, "Grad-CAM"),
    ...both(item.maps, LEAST_REACH, "occlusion"),
  ];
  const pictures = looks.length ? [figure(picture, "the picture"), ...looks] : picture;
  return el(
    "li",
    { class: "card" },
    el("div", { class: looks.length > 2 ? "row-of-pictures two" : "row-of-pictures" }, pictures),
    el(
      "p",
      {},
      "Taken for ",
      el("strong", {}, predicted),
      ` with ${percentage(item.probability)}; it is `,
      el("strong", {}, label),
      ` (${percentage(item.label_probability)}).`,
    ),
    el("p", { class: "file" }, el("bdi", {}, called)),
  );
}

export function figure(content, ...words) {
  return el("figure", {}, content, el("figcaption", {}, words));
}

/** The picture in gray, under the evidence for a class. */
export function veiled(sheet, n, maps, which, of, least, method) {
  const [, rows, columns] = maps.shape;
  const values = maps.part(which);
  const veil = el("canvas", { class: "veil", "aria-hidden": "true" });
  paintVeil(veil, values, columns, Math.max(least, maps.reach));
  let best = 0;
  for (let place = 1; place < values.length; place++)
    if (values[place] > values[best]) best = place;
  const where = `${place(Math.floor(best / columns), rows, ["top", "middle", "bottom"])}, ${place(best % columns, columns, ["left", "center", "right"])}`;
  const label = `Evidence for ${of} by ${method}: strongest at ${where}`;
  return figure(
    el("div", { class: "over" }, sheet.picture(n, label), veil),
    `${method}, for `,
    el("b", {}, of),
  );
}

/** In which third of a side a place lies. */
function place(at, side, names) {
  return names[Math.min(2, Math.floor((3 * at) / side))];
}
