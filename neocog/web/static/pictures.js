// The choice of a picture: from the data, a file, the clipboard, or the camera.

import { act, upload } from "./api.js";
import { el, select } from "./dom.js";
import { NumberBox } from "./number.js";

// What becomes of an uploaded picture, by the mode of resizing.
const RESIZED = {
  stretch: (size) => `All of it is scaled to ${size} pixels, whatever its shape.`,
  crop: (size) => `It is scaled, and its middle of ${size} pixels is taken.`,
  letterbox: (size) => `All of it is scaled to fit into ${size} pixels; the rest is filled.`,
};

export class Pictures {
  /** `run(promise)` shows errors; `network` is what never changes. */
  constructor(run, network) {
    this.run = run;
    this.network = network;
    const many = network.data?.held_out ?? 0;
    const kind = network.data?.part;
    this.file = el("input", {
      type: "file",
      accept: "image/*",
      class: "file",
      "aria-label": "picture to upload",
      onchange: () => this.send(this.file.files[0]),
    });
    this.number = new NumberBox(run, {
      name: `number of a ${kind} image`,
      low: 0,
      high: many - 1,
      whole: true,
      change: (index) => this.go({ index }),
    });
    this.label = select(
      network.kind === "class" ? "label" : "explain",
      [
        [null, network.kind === "number" ? "the first" : "the most probable"],
        ...network.classes.map((name, n) => [n, name]),
      ],
      null,
      (label) => this.run(act("/api/label", { label })),
    );
    this.camera = el("button", { type: "button", onclick: () => this.film() }, "Camera");
    this.live = el("div", { class: "camera", hidden: true });
    const button = (text, move) =>
      el("button", { type: "button", onclick: () => this.go({ move }) }, text);
    this.node = el(
      "div",
      { class: "card" },
      el("h3", {}, "The picture"),
      many
        ? el(
            "div",
            { class: "controls" },
            button("← Previous", "previous"),
            button("Next →", "next"),
            button("Random", "random"),
            el(
              "label",
              {},
              `${kind} image `,
              this.number.node,
              el("span", { class: "hint" }, ` of ${many.toLocaleString("en")}`),
            ),
          )
        : null,
      el(
        "div",
        { class: "controls" },
        el("label", { class: "upload" }, "Upload one ", this.file),
        navigator.mediaDevices ? this.camera : null,
        this.label,
      ),
      this.live,
      el(
        "p",
        { class: "hint" },
        "Or drop a picture anywhere on this page, or paste one. ",
        RESIZED[network.resize](network.input_shape.slice(1).join(" × ")),
        " The network takes pictures in no other size, and neocog predict does the same.",
      ),
    );
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.send(event.dataTransfer.files[0]);
    });
    addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) this.send(event.clipboardData.files[0]);
    });
  }

  go(to) {
    return this.run(act("/api/picture", to));
  }

  async send(file) {
    if (file) await this.run(upload(file));
    this.file.value = "";
  }

  /** Show the camera, with a button that takes the picture. */
  async film() {
    if (!this.live.hidden) return this.stop();
    const stream = await this.run(
      navigator.mediaDevices
        .getUserMedia({ video: { facingMode: "environment" } })
        .catch((error) => {
          throw new Error(`The camera cannot be used: ${error.message}.`);
        }),
    );
    if (!stream) return undefined;
    this.stream = stream;
    const video = el("video", { autoplay: true, playsinline: true, muted: true });
    video.srcObject = stream;
    const take = () => {
      // The whole picture as a file, which the server scales like any other.
      const { videoWidth: width, videoHeight: height } = video;
      const canvas = el("canvas", { width, height });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => this.send(blob), "image/png");
    };
    this.live.replaceChildren(
      video,
      el("button", { type: "button", onclick: take }, "Take the picture"),
      el("button", { type: "button", onclick: () => this.stop() }, "Close"),
    );
    this.live.hidden = false;
    return undefined;
  }

  stop() {
    for (const track of this.stream.getTracks()) track.stop();
    this.live.hidden = true;
    this.live.replaceChildren();
  }

  update(state) {
    const { picture } = state;
    this.number.set(picture.index);
    this.label.querySelector("select").selectedIndex =
      picture.label === null ? 0 : picture.label + 1;
  }
}
