// Asking the explorer; what it refuses becomes an error with its own words.

async function answer(response) {
  if (response.ok) return response;
  const said = await response
    .json()
    .catch(() => ({ error: `The explorer answers with ${response.status}.` }));
  throw new Error(said.error);
}

async function ask(path, options) {
  try {
    return await answer(await fetch(path, options));
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
