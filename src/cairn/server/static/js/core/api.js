/** Requests to the server. Errors are the one line that the server gives (application/problem+json). */

/** An error answer of the server. */
export class ApiError extends Error {
  constructor(message, status, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Sends a request and returns the response. The cookie of the page has the token, where the server wants one. */
export async function request(path, { method = "GET", body, json, signal, headers = {} } = {}) {
  const options = { method, signal, headers: { ...headers }, body };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer: check that cairn serve is running", 0, {});
  }
  if (!response.ok) throw await asError(response);
  return response;
}

/** Sends a request and returns its JSON; null where it has none. */
export async function call(path, options) {
  const response = await request(path, options);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Returns the body of a response as a blob. */
export async function blob(path, options) {
  return (await request(path, options)).blob();
}

/** Returns a form of files under one field, with further values. */
export function form(field, files, values = {}) {
  const data = new FormData();
  for (const file of files) data.append(field, file, file.name);
  for (const [name, value] of Object.entries(values)) if (value !== null && value !== undefined) data.append(name, value);
  return data;
}

/** Returns a path with query values; those that are null, undefined or "" are left out. */
export function query(path, values) {
  const parts = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(parts).toString();
  return text ? `${path}?${text}` : path;
}

async function asError(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // an answer without JSON, such as that of a proxy
  }
  return new ApiError(body.detail ?? `The server answered ${response.status} ${response.statusText}`, response.status, body);
}
