// Asks an edge's function, as that edge would, for each request of a JSON list on standard input, and
// prints the answers as JSON: status, headers (names in lower case), cookies set, body in hex.
//
// node ask_function.mjs cloudfront|cloudflare

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const source = new URL("../../cloudfront/pixel.js", import.meta.url);

function cookiesOf(header) {
  const cookies = {};
  for (const pair of (header ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at < 0) continue;
    const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    if (name in cookies) (cookies[name].multiValue ??= [{ value: cookies[name].value }]).push({ value });
    else cookies[name] = { value };
  }
  return cookies;
}

// The event, and the answer, that CloudFront's documents describe. No module but crypto is there.
function cloudfront() {
  const handler = new Function("require", `${readFileSync(source)}\nreturn handler;`)((name) => {
    if (name !== "crypto") throw new Error(`no module ${name}`);
    return require(name);
  });
  return async ({ method, path, query, headers }) => {
    const { cookie, ...others } = headers;
    const wrapped = Object.fromEntries(Object.entries(others).map(([k, value]) => [k, { value }]));
    const answer = handler({
      version: "1.0",
      context: { eventType: "viewer-request", requestId: "same-for-all" },
      viewer: { ip: "203.0.113.7" },
      request: { method, uri: path, headers: wrapped, cookies: cookiesOf(cookie), rawQueryString: () => query },
    });
    return {
      status: answer.statusCode,
      headers: Object.fromEntries(Object.entries(answer.headers).map(([k, { value }]) => [k, value])),
      cookies: Object.entries(answer.cookies ?? {}).map(([k, c]) => `${k}=${c.value}; ${c.attributes}`),
      body: answer.body ? Buffer.from(answer.body.data, answer.body.encoding).toString("hex") : "",
    };
  };
}

async function cloudflare() {
  const worker = (await import("../../cloudflare/worker.mjs")).default;
  return async ({ method, path, query, headers }) => {
    const url = `https://px.example.org${path}${query === undefined ? "" : `?${query}`}`;
    const request = new Request(url, { method });
    // A Request of a browser's kind takes no cookies from a script; that of a Worker has them.
    Object.defineProperty(request, "headers", { value: new Headers(headers) });
    const answer = await worker.fetch(request);
    const body = Buffer.from(await answer.arrayBuffer()).toString("hex");
    const { "set-cookie": _, ...named } = Object.fromEntries(answer.headers);
    return { status: answer.status, headers: named, cookies: answer.headers.getSetCookie(), body };
  };
}

const ask = await { cloudfront, cloudflare }[process.argv[2]]();
const answers = [];
for (const request of JSON.parse(readFileSync(0))) answers.push(await ask(request));
console.log(JSON.stringify(answers));
