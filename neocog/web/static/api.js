// Asking the explorer; what it refuses becomes an error with its own words.

// The explorer that this page is of, and the header that names it. Another one may have its address
// later, and must neither be shown under this one's picture nor do what was meant for it.
const INSTANCE = "Neocog-Instance";
let instance = null;

// Milliseconds: before the page is loaded anew, so that one can read why; and between two attempts.
const READING = 1500;
const AGAIN = 2000;

async function answer(response) {
  if (response.ok) return response;
  const said = await response
    .json()
    .catch(() => ({ error: `The explorer answers with ${response.status}.` }));
  throw new Error(said.error);
}

/** See that it is still the same explorer; a page of another one is loaded anew. */
function recognize(response) {
  const found = response.headers.get(INSTANCE);
  instance ??= found;
  if (!found || found === instance) return;
  setTimeout(() => location.reload(), READING);
  throw new Error("The explorer was started anew; this page is loaded anew, too.");
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(instance && { [INSTANCE]: instance }) };
  try {
    const response = await fetch(path, { ...options, headers });
    recognize(response);
    return await answer(response);
  } catch (error) {
    if (error instanceof TypeError)
      throw new Error(
        "The explorer cannot be reached: it may have been closed. Start it again and reload this page.",
      );
    throw error;
  }
}

/** JSON of a path. */
export async function getJson(path) {
  return (await ask(path)).json();
}

/** A binary message of a path. */
export async function getBinary(path) {
  return (await ask(path)).arrayBuffer();
}

async function post(path, body) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Do something; gives the state after it. */
export async function act(path, body = {}) {
  return (await post(path, body)).json();
}

/** Do something whose answer is a binary message. */
export async function actBinary(path, body) {
  return (await post(path, body)).arrayBuffer();
}

/** Send a picture's file as it is. */
export async function upload(file) {
  const type = file.type.startsWith("image/") ? file.type : "image/unknown";
  return (
    await ask("/api/upload", { method: "POST", headers: { "Content-Type": type }, body: file })
  ).json();
}

/** Hear each state from now on; `lost(why)` when nothing comes, until something does again. */
export function listen(hear, lost) {
  const events = new EventSource(`/api/events?instance=${instance ?? ""}`);
  events.onmessage = (event) => hear(JSON.parse(event.data));
  events.onerror = async () => {
    lost(
      "The explorer does not answer. What it has learned is kept as long as it runs; this page goes on when it answers again.",
    );
    if (events.readyState !== EventSource.CLOSED) return; // the browser tries again
    // It was refused; only another request is told why.
    try {
      await (await ask("/api/events")).body.cancel();
    } catch (error) {
      lost(error.message);
    }
    setTimeout(() => listen(hear, lost), AGAIN);
  };
}
