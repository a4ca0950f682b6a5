// The program of a page in a file: unpack its numbers and show them.

import { resolve, unpack } from "./data.js";
import { Page } from "./page.js";

async function open() {
  const root = document.getElementById("page");
  try {
    const structure = JSON.parse(document.getElementById("structure").textContent);
    const block = await unpack(document.getElementById("block").textContent);
    new Page(root, resolve(structure, block));
  } catch (error) {
    root.textContent = `This page cannot be shown: ${error.message}. It needs a browser of 2023 or newer.`;
    throw error;
  }
}

open();
