// Making elements.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style")
      node.style.cssText = value; // as an attribute a strict policy would refuse it
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child || child === 0 || child === ""));
  return node;
}

/** An HTML element; attributes that begin with "on" are listeners. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** A table's head with a column for each name; those without one are no headings. */
export function heads(...names) {
  const cells = names.map((name) => (name ? el("th", { scope: "col" }, name) : el("td")));
  return el("thead", {}, el("tr", {}, cells));
}

/** Buttons of which one is pressed: [[value, text], …]; `set` of the result presses another. */
export function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) =>
    el(
      "button",
      {
        type: "button",
        onclick: () => {
          set(value);
          choose(value);
        },
      },
      text,
    ),
  );
  function set(value) {
    options.forEach(([each], n) => buttons[n].setAttribute("aria-pressed", String(each === value)));
  }
  set(chosen);
  return Object.assign(
    el("div", { class: "choice", role: "group", "aria-label": label }, buttons),
    { set },
  );
}

/** A list to choose from: [[value, text], …]. */
export function select(label, options, chosen, choose) {
  return el(
    "label",
    { class: "select" },
    `${label} `,
    el(
      "select",
      { onchange: (event) => choose(options[event.target.selectedIndex][0]) },
      options.map(([value, text]) => el("option", { selected: value === chosen }, text)),
    ),
  );
}

/** A picture with words under it. */
export function figure(title, content, ...words) {
  return el(
    "figure",
    {},
    el("h4", {}, title),
    content,
    words.length ? el("figcaption", {}, words) : null,
  );
}

/** A bar from zero, for a number that reaches at most `reach`. */
export function bar(value, reach) {
  const share = reach ? Math.abs(value) / reach : 0;
  return el(
    "span",
    { class: "bar", "aria-hidden": "true" },
    el("span", {
      class: value < 0 ? "minus" : "plus",
      style: `width: ${(100 * share).toFixed(1)}%`,
    }),
  );
}
