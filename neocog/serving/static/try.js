// The page to try a served model: choose pictures, and see what the model says of each.

import { el } from "./dom.js";

// Pictures of one request; the server accepts some hundred.
const AT_ONCE = 16;

function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

function table(rows) {
  return el(
    "table",
    { class: "plain" },
    el(
      "tbody",
      {},
      rows.map(([name, number]) => el("tr", {}, el("td", {}, name), el("td", {}, number))),
    ),
  );
}

// What is said above the table.
function said(found) {
  if (found.labels) {
    return found.labels.length ? `Labels: ${found.labels.join(", ")}` : "No label.";
  }
  return "guess" in found && found.label === null ? "None of these. The best guesses:" : null;
}

function words(found) {
  if (found.error) return el("p", { class: "error" }, found.error);
  if (found.values) {
    return table(found.values.map(({ label, value }) => [label, String(+value.toPrecision(6))]));
  }
  const first = said(found);
  return [
    first && el("p", {}, first),
    table(found.top.map(({ label, probability }) => [label, percent(probability)])),
  ];
}

async function predict(files) {
  const body = new FormData();
  for (const file of files) body.append("image", file, file.name);
  const response = await fetch("/predict?top=5", { method: "POST", body });
  const found = await response
    .json()
    .catch(() => ({ error: `The server answers with ${response.status}.` }));
  return response.ok ? found : files.map(() => found);
}

function shown(file, found) {
  const address = URL.createObjectURL(file);
  const image = el("img", { src: address, alt: "" });
  image.onload = () => URL.revokeObjectURL(address);
  image.onerror = () => {
    URL.revokeObjectURL(address);
    image.remove();
  };
  return el("figure", {}, image, el("figcaption", {}, el("strong", {}, file.name), words(found)));
}

function open() {
  const root = document.getElementById("page");
  const status = el("p", { role: "status" });
  const results = el("div", { class: "tried" });

  async function take(files) {
    results.replaceChildren();
    for (let first = 0; first < files.length; first += AT_ONCE) {
      const some = files.slice(first, first + AT_ONCE);
      status.textContent = `${first} of ${files.length} …`;
      try {
        const found = await predict(some);
        results.append(...some.map((file, n) => shown(file, found[n])));
      } catch {
        status.textContent = "The server cannot be reached.";
        return;
      }
    }
    status.textContent = "";
  }

  root.replaceChildren(
    el("h1", {}, "Try the model"),
    el(
      "label",
      {},
      "Pictures: ",
      el("input", {
        type: "file",
        accept: "image/*",
        multiple: true,
        onchange: (event) => take([...event.target.files]),
      }),
    ),
    el(
      "p",
      {},
      "They are sent to this server, which keeps none. Programs send them to ",
      el("code", {}, "/predict"),
      ": ",
      el("a", { href: "/openapi.json" }, "the description"),
      ".",
    ),
    status,
    results,
  );
}

open();
