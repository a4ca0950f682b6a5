// Making elements.

const SVG = "http://www.w3.org/2000/svg";

const listeners = Symbol("listeners");

function listen(node, type, listener) {
  node[listeners] ??= {};
  if (!(type in node[listeners]))
    node.addEventListener(type, (event) => node[listeners][type]?.(event));
  node[listeners][type] = listener;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) listen(node, name.slice(2), value);
    else if (name === "style")
      node.style.cssText = value; // as an attribute a strict policy would refuse it
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(name, value);
  }
  node.append(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child || child === 0 || child === "");
}

/** An HTML element; attributes that begin with "on" are listeners. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/**
 * Replace a node's content, but reuse existing nodes of the same kind: so the focus and selected text
 * stay, and a press that has begun ends on the same button. The nodes in `children` must not be used
 * afterwards; their listeners are taken over.
 */
export function put(node, ...children) {
  const { anchorNode, anchorOffset, focusNode, focusOffset } = getSelection();
  const next = document.createDocumentFragment();
  next.append(...present(children));
  match(node, next);
  if (!anchorNode || (anchorNode === focusNode && anchorOffset === focusOffset)) return;
  if (!node.contains(anchorNode) || !node.contains(focusNode)) return;
  if (getSelection().anchorOffset !== anchorOffset || getSelection().focusOffset !== focusOffset) {
    const within = (end, offset) => Math.min(offset, end.length ?? end.childNodes.length);
    getSelection().setBaseAndExtent(
      anchorNode,
      within(anchorNode, anchorOffset),
      focusNode,
      within(focusNode, focusOffset),
    );
  }
}

/** Give a node the content of another of the same kind. */
function match(node, other) {
  const before = [...node.childNodes];
  [...other.childNodes].forEach((next, n) => {
    const old = before[n];
    if (!old) node.append(next);
    else if (old.nodeName !== next.nodeName) old.replaceWith(next);
    else if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== next.data) old.data = next.data;
    } else adopt(old, next);
  });
  for (const old of before.slice(other.childNodes.length)) old.remove();
}

/** Give an element the attributes and listeners of another. */
function adopt(node, other) {
  // The list may be open: it keeps its options and its listener.
  if (node.matches("select:focus")) return;
  for (const { name } of [...node.attributes])
    if (name !== "style" && !other.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of other.attributes)
    if (name !== "style" && node.getAttribute(name) !== value) node.setAttribute(name, value);
  if (node.style.cssText !== other.style.cssText) node.style.cssText = other.style.cssText;
  for (const type of Object.keys(node[listeners] ?? {})) node[listeners][type] = null;
  for (const [type, listener] of Object.entries(other[listeners] ?? {}))
    listen(node, type, listener);
  if (node.nodeName === "CANVAS") {
    node.width = other.width; // which clears it
    node.height = other.height;
    if (other.width && other.height) node.getContext("2d").drawImage(other, 0, 0);
    return;
  }
  const chosen = other.selectedIndex;
  match(node, other);
  if (node.nodeName === "SELECT") node.selectedIndex = chosen;
}

/** A table's head with a column for each name; a column without a name gets an empty cell. */
export function heads(...names) {
  const cells = names.map((name) => (name ? el("th", { scope: "col" }, name) : el("td")));
  return el("thead", {}, el("tr", {}, cells));
}

/** A table that scrolls where it is wider than the page, also by keys. */
export function wideTable(label, ...content) {
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", { class: "plain" }, content),
  );
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
