// Requests to the explorer; a refusal becomes an error with the explorer's text.

// The explorer that this page belongs to, and the header that names it. Another explorer may have the
// same address later: its state must not be shown here, and it must not get this page's requests.
const INSTANCE = "Neocog-Instance";
let instance = null;

// Milliseconds before the page is reloaded, to read why, and between two attempts to connect.
const READING = 1500;
const AGAIN = 2000;

async function answer(response) {
  if (response.ok) return response;
  const said = await response
    .json()
    .catch(() => ({ error: `The explorer answers with ${response.status}.` }));
  throw new Error(said.error);
}

/** Check that it is still the same explorer; otherwise reload the page. */
function recognize(response) {
  const found = response.headers.get(INSTANCE);
  instance ??= found;
  if (!found || found === instance) return;
  setTimeout(() => location.reload(), READING);
  throw new Error("The explorer was started again. This page is being reloaded.");
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
        "The explorer cannot be reached. It may have been closed: start it again and reload this page.",
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

/** Send an action; resolves to the state after it. */
export async function act(path, body = {}) {
  return (await post(path, body)).json();
}

/** Send an action that is answered by a binary message. */
export async function actBinary(path, body) {
  return (await post(path, body)).arrayBuffer();
}

/** Send a picture's file. */
export async function upload(file) {
  const type = file.type.startsWith("image/") ? file.type : "image/unknown";
  return (
    await ask("/api/upload", { method: "POST", headers: { "Content-Type": type }, body: file })
  ).json();
}

/** Call `heard` with each state from now on, and `lost(why)` when the connection is lost. */
export function listen(hear, lost) {
  const events = new EventSource(`/api/events?instance=${instance ?? ""}`);
  events.onmessage = (event) => hear(JSON.parse(event.data));
  events.onerror = async () => {
    lost(
      "The explorer does not answer. While it runs it keeps what the network has learned, and this page continues when it answers again.",
    );
    if (events.readyState !== EventSource.CLOSED) return; // the browser tries again
    // It was refused; only another request gets the reason.
    try {
      await (await ask("/api/events")).body.cancel();
    } catch (error) {
      lost(error.message);
    }
    setTimeout(() => listen(hear, lost), AGAIN);
  };
}
