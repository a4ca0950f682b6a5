// The view of a channel whose numbers are not here.

import { Channels } from "./channels.js";
import { el } from "./dom.js";
import { lacking } from "./needs.js";

/** The channels of a layer whose view has all that it needs, some in words. */
function here(page, layer) {
  const channels = Array.from({ length: layer.shape[0] }, (_, channel) => channel).filter(
    (channel) => !lacking({ ...view(page), channel }, layer).everything,
  );
  if (!channels.length) return "";
  return `; here ${channels.length === 1 ? "is" : "are"} ${channels.join(", ")}`;
}

const view = ({ net, side, output }) => ({ net, side, output });

/** In a file: it was left out. In the explorer: it is being fetched. */
export function missing(page, layer) {
  const channels = new Channels(page, layer);
  const words = el("p", { class: "note" });
  function update() {
    channels.update();
    words.textContent = page.more
      ? `Fetching channel ${page.channel} …`
      : `Channel ${page.channel} was left out to keep this file small${here(page, layer)}. ` +
        "neocog explore shows all.";
  }
  update();
  return { node: el("div", {}, channels.node, words), update };
}
