// Requests to the member that served the page. A password is kept in this module's memory
// and nowhere else: it is gone when the page is.

let authorization = null;
let name = "";

export class ApiError extends Error {
  constructor(message, status, code, index) {
    super(message);
    Object.assign(this, { status, code, index });
  }
}

export const user = () => name;

export function useCredentials(user, password) {
  name = user;
  authorization = user ? "Basic " + btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`))) : null;
}

// path is a key as it stands in a URL.
export const path = (key) => key.split("/").map(encodeURIComponent).join("/");

export async function send(method, url, { query, form, signal } = {}) {
  const search = query ? "?" + new URLSearchParams(query) : "";
  const headers = {};
  if (authorization) headers.Authorization = authorization;
  let resp;
  try {
    resp = await fetch(url + search, { method, headers, body: form ? new URLSearchParams(form) : undefined, signal, cache: "no-store", credentials: "omit" });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new ApiError("This member doesn't answer. It may be restarting; the page tries again.", 0);
  }
  if (resp.ok) return resp;
  let words = `${resp.status} ${resp.statusText}`, code, index = indexOf(resp);
  try {
    const text = await resp.text();
    words = text.trim() || words;
    const body = JSON.parse(text);
    code = body.errorCode;
    words = body.cause && body.cause !== body.message ? `${body.message}: ${body.cause}` : body.message;
  } catch { /* not v2's form */ }
  throw new ApiError(words, resp.status, code, index);
}

export const json = async (url, options) => (await send("GET", url, options)).json();
export const text = async (url, options) => (await send("GET", url, options)).text();

export const indexOf = (resp) => Number(resp.headers.get("X-Etcd-Index"));

// get returns a node and the tree's index.
export async function get(key, query, signal) {
  const resp = await send("GET", "/v2/keys" + path(key), { query, signal });
  return { node: (await resp.json()).node, index: indexOf(resp) };
}

// lines yields the JSON objects of a streamed answer.
export async function* objects(resp) {
  const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const list = rest.split("\n");
    rest = list.pop();
    for (const line of list) if (line) yield JSON.parse(line);
  }
}

// names yields the keys below key at any depth, with whether each is a directory, as they
// arrive: the listing may be larger than what a page should hold. Quotation marks within
// values are escaped, so anything that looks like a key is one.
export async function* names(key, query, signal) {
  const resp = await send("GET", "/v2/keys" + path(key), { query: { recursive: true, sorted: true, ...query }, signal });
  const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
  const pattern = /"key":("(?:[^"\\]|\\.)*")(,"dir":true|,"value"|,"expiration"|,"ttl"|,"nodes"|,"modifiedIndex")/g;
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end = 0;
    for (const m of rest.matchAll(pattern)) {
      end = m.index + m[0].length;
      yield { key: JSON.parse(m[1]), dir: m[2] === ',"dir":true' };
    }
    const cut = rest.lastIndexOf('"key":');
    rest = rest.slice(Math.max(end, cut >= end ? cut : rest.length - 8));
  }
}
