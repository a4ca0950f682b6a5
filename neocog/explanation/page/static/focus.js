// Keeps the focus when a part is redrawn.

const TAKES_FOCUS = "button, select, input, a[href], [tabindex]";

/** Where the focus is in a part; `restore` puts it on the new element at that place. */
export class Focus {
  constructor(part) {
    this.part = part;
    const there = document.activeElement;
    if (!part.contains(there)) return;
    this.label = there.getAttribute("aria-label");
    this.at = [...part.querySelectorAll(TAKES_FOCUS)].indexOf(there);
  }

  restore() {
    if (this.at === undefined) return;
    const all = [...this.part.querySelectorAll(TAKES_FOCUS)];
    const same = all.find((each) => this.label && each.getAttribute("aria-label") === this.label);
    (same ?? all[this.at])?.focus({ preventScroll: true });
  }
}
