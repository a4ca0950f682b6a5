// A box for one number. What cannot be is refused in words, and the box shows again what holds.

import { el } from "./dom.js";
import { written } from "./numbers.js";

export class NumberBox {
  /**
   * `name` is what it is called in messages, `label` to who cannot see it. It takes numbers from
   * `low` to `high`, or `below` it, whole ones if `whole`. `change(value)` is called for each that
   * is typed in, and gives a promise of nothing where it is refused; without it the box waits until
   * somebody asks it to `take` what was typed. `typed()` is called whenever the box comes to show
   * something else than was set: with each key, and when what holds comes back. `run` shows what
   * goes wrong.
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

  /** Take the number that holds; null for none. What is being typed stays. */
  set(value) {
    this.value = value;
    if (!this.typing) this.show();
  }

  /** Show the number that holds; gives whether the box showed something else. */
  show() {
    this.typing = false;
    const text = String(this.value ?? "");
    if (this.node.value === text && !this.node.validity.badInput) return false;
    this.node.value = text;
    return true;
  }

  /** Show it in place of what was typed. */
  putBack() {
    if (this.show()) this.typed?.();
  }

  /** The number in the box, or undefined. */
  read() {
    const value = this.node.valueAsNumber;
    const fits = value >= this.low && (this.below ? value < this.high : value <= this.high);
    return fits && (!this.whole || Number.isInteger(value)) ? value : undefined;
  }

  /** Make what was typed what holds; gives whether it can be. */
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

  /** Say why what is in the box cannot be. */
  refuse() {
    const typed = this.node.value === "" ? "no number was typed" : `${this.node.value} was typed`;
    const kind = this.whole ? "a whole number" : "a number";
    const say = this.whole ? (n) => n.toLocaleString("en") : written;
    const end = this.below ? `and below ${say(this.high)}` : `to ${say(this.high)}`;
    const why = `The ${this.name} must be ${kind} from ${say(this.low)} ${end}; ${typed}.`;
    this.run(Promise.reject(Object.assign(new Error(why), { stays: true })));
  }
}
