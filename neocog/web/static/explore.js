// The explorer's page: the explanation, and above it the controls.

import { getBinary, getJson, listen } from "./api.js";
import { split } from "./data.js";
import { el } from "./dom.js";
import { Kernel } from "./kernel.js";
import { Page } from "./page.js";
import { Pictures } from "./pictures.js";
import { Training } from "./training.js";
import { Weight } from "./weight.js";

// During training, the milliseconds between two updates of the maps.
const PAUSE = 400;

// Milliseconds to read a message.
const READING = 4000;

class Explorer {
  constructor(root, state) {
    this.message = el("div", { class: "message", role: "alert", hidden: true });
    this.activity = el("div", { class: "message quiet", role: "status", hidden: true });
    const run = (promise) => this.run(promise);
    this.parts = [
      new Pictures(run, state.network),
      new Training(run, state.network),
      new Kernel(run, state.network),
      new Weight(run, state.network),
    ];
    this.root = el("div");
    const [pictures, training, kernel, weight] = this.parts.map((part) => part.node);
    root.replaceChildren(
      this.message,
      this.activity,
      el(
        "div",
        { class: "tools" },
        el("div", {}, pictures, kernel, weight),
        el("div", {}, training),
      ),
      this.root,
    );
    this.state = state;
    this.take(state);
    this.listen();
  }

  /** Wait for a request. An error is shown as a message, and a state is shown if it is the newest. */
  async run(promise) {
    try {
      const found = await promise;
      if (performance.now() > (this.until ?? 0)) this.message.hidden = true;
      if (found?.version !== undefined) this.take(found);
      return found;
    } catch (error) {
      this.say(error.message, "error");
      // A click may follow at once after a refused input, and must not hide the message.
      this.until = error.stays ? performance.now() + READING : 0;
      return undefined;
    }
  }

  say(text, kind) {
    this.message.textContent = text;
    this.message.className = `message ${kind}`;
    this.message.hidden = false;
  }

  listen() {
    const hear = (state) => {
      if (this.lost) {
        this.lost = false;
        this.message.hidden = true;
      }
      this.take(state);
    };
    listen(hear, (why) => {
      this.lost = true;
      this.say(why, "error");
    });
  }

  /** Show a state, unless a newer one is shown already. */
  async take(state) {
    if (state.version < this.state.version) return;
    const said = this.state.message?.number;
    this.state = { ...this.state, ...state };
    this.activity.hidden = !state.activity;
    this.activity.textContent = state.activity ?? "";
    if (state.message && state.message.number !== said)
      this.say(state.message.text, state.message.kind);
    for (const part of this.parts) await part.update(state);
    this.refresh();
  }

  /** Fetch what a channel's numbers are shown with. */
  async more(layer, channel, output) {
    const query = new URLSearchParams({ layer, channel, output });
    try {
      return split(await getBinary(`/api/channel?${query}`));
    } catch (error) {
      this.say(error.message, "error");
      return null;
    }
  }

  /** Fetch the explanation if the picture or the weights have changed; one at a time. */
  async refresh() {
    const { picture, prediction, training, changes } = this.state;
    const running = Boolean(training?.running);
    const key = JSON.stringify([picture.number, prediction, changes, running]);
    if (key === this.shown || this.fetching || picture.source === "none") return;
    this.fetching = true;
    this.shown = key;
    try {
      const structure = split(await getBinary("/api/explanation"));
      if (this.page) this.page.replace(structure);
      else this.page = new Page(this.root, structure, (...of) => this.more(...of));
      this.parts.at(-1).know(this.page.net);
    } catch (error) {
      this.say(error.message, "error");
    }
    setTimeout(
      () => {
        this.fetching = false;
        this.refresh();
      },
      running ? PAUSE : 0,
    );
  }
}

async function open() {
  const root = document.getElementById("page");
  try {
    new Explorer(root, await getJson("/api/state"));
  } catch (error) {
    root.textContent = error.message;
    throw error;
  }
}

open();
