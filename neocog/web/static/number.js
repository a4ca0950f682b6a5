// A box for one number. A wrong input is refused with a message, and the box shows the old number.

import { el } from "./dom.js";
import { written } from "./numbers.js";

export class NumberBox {
  /**
   * `name` is used in messages, `label` by screen readers. The box takes numbers from `low` to `high`,
   * or `below` it, and only whole ones if `whole`. `change(value)` is called for each number that is
   * typed in; its promise resolves to undefined if the number is refused. Without `change`, the box
   * waits until `take` is called. `typed()` is called when the box shows another number than was set:
   * at each key, and when the old number returns. `run` shows errors.
   */
  constructor(
    run,
    {
      name,
      label = name,
      low,
      high,
      below = false,
      whole = false,
      change = null,
      typed = null,
      kind = null,
    },
  ) {
    Object.assign(this, { run, name, low, high, below, whole, change, typed });
    this.value = null;
    this.node = el("input", {
      type: "number",
      min: low,
      max: high,
      step: whole ? 1 : "any",
      class: kind,
      "aria-label": label,
      oninput: () => {
        this.typing = true;
        typed?.();
      },
      onchange: () => change && this.take(),
      onblur: () => change && this.putBack(),
      onkeydown: (event) => event.key === "Escape" && this.putBack(),
    });
  }

  /** Set the number; null for none. It does not replace what is being typed. */
  set(value) {
    this.value = value;
    if (!this.typing) this.show();
  }

  /** Show the set number; returns whether the box showed another one. */
  show() {
    this.typing = false;
    const text = String(this.value ?? "");
    if (this.node.value === text && !this.node.validity.badInput) return false;
    this.node.value = text;
    return true;
  }

  /** Show the set number instead of what was typed. */
  putBack() {
    if (this.show()) this.typed?.();
  }

  /** The number in the box, or undefined. */
  read() {
    const value = this.node.valueAsNumber;
    const fits = value >= this.low && (this.below ? value < this.high : value <= this.high);
    return fits && (!this.whole || Number.isInteger(value)) ? value : undefined;
  }

  /** Accept what was typed; returns whether it is allowed. */
  take() {
    const value = this.read();
    if (value === undefined) this.refuse();
    else if (value !== this.value) this.begin(value);
    this.putBack();
    return value !== undefined;
  }

  async begin(value) {
    const before = this.value;
    this.value = value;
    if (!this.change || (await this.change(value)) !== undefined) return;
    if (this.value === value) this.set(before);
  }

  /** Say why the input is not allowed. */
  refuse() {
    const typed = this.node.value === "" ? "no number was typed" : `${this.node.value} was typed`;
    const kind = this.whole ? "a whole number" : "a number";
    const say = this.whole ? (n) => n.toLocaleString("en") : written;
    const end = this.below ? `and below ${say(this.high)}` : `to ${say(this.high)}`;
    const why = `The ${this.name} must be ${kind} from ${say(this.low)} ${end}; ${typed}.`;
    this.run(Promise.reject(Object.assign(new Error(why), { stays: true })));
  }
}
