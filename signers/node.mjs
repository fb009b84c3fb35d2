// Signs pixel URLs, version 2 (docs/signatures.md), with Node's crypto. For servers and build scripts.
//
//   import { sign } from "./node.mjs";
//   sign({ k: "story-1", d: "news.pageviews", c: "https://example.org/a" }, process.env.PIXELSHIP_SECRET)
//
// params: all that is signed, in the order of the URL; k, c and d are needed. exp and nbf are seconds
// since 1970. unsigned: text such as "&id=*|UNIQID|*", put behind as it is.
import { createHmac } from "node:crypto";

const mac = (secret, text) => createHmac("sha256", secret).update(text, "utf8").digest();
const netstring = (text) => `${Buffer.byteLength(text, "utf8")}:${text},`;
const escape = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export function sign(params, secret, base = "https://px.example.org/pixel.gif", unsigned = "") {
  const names = Object.keys(params).sort();
  if (!secret) throw new Error("A secret is needed.");
  for (const name of names)
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name) || name === "s") throw new Error(`${name} cannot be signed.`);
  if (names.length > 32) throw new Error("Over 32 parameters cannot be signed.");
  for (const name of ["k", "c", "d"]) if (!params[name]) throw new Error(`${name} is needed.`);
  const id = mac(secret, "pixelship key id").toString("hex").slice(0, 8);
  const pairs = names.map((name) => netstring(name) + netstring(String(params[name])));
  const signature = mac(secret, `pixelship-2.${id}.${pairs.join("")}`).toString("base64url");
  const query = Object.entries(params).map(([name, value]) => `${name}=${escape(String(value))}`);
  return `${base}?s=2.${id}.${names.join("~")}.${signature}&${query.join("&")}${unsigned}`;
}
