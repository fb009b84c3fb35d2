// Signs pixel URLs, version 2 (docs/signatures.md), with WebCrypto: edge workers, Deno, extensions of a
// CMS that run behind a login. NOT for pages that readers see: whoever has the secret can sign anything.
//
//   await sign({ k: "story-1", d: "news.pageviews", c: "https://example.org/a" }, env.PIXELSHIP_SECRET)
//
// params: all that is signed, in the order of the URL; k, c and d are needed. exp and nbf are seconds
// since 1970. unsigned: text such as "&id=*|UNIQID|*", put behind as it is.
const octets = (text) => new TextEncoder().encode(text);
const netstring = (text) => `${octets(text).length}:${text},`;
const escape = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export async function sign(params, secret, base = "https://px.example.org/pixel.gif", unsigned = "") {
  const names = Object.keys(params).sort();
  if (!secret) throw new Error("A secret is needed.");
  for (const name of names)
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name) || name === "s") throw new Error(`${name} cannot be signed.`);
  if (names.length > 32) throw new Error("Over 32 parameters cannot be signed.");
  for (const name of ["k", "c", "d"]) if (!params[name]) throw new Error(`${name} is needed.`);
  const form = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", octets(secret), form, false, ["sign"]);
  const mac = async (text) => [...new Uint8Array(await crypto.subtle.sign("HMAC", key, octets(text)))];
  const hex = (await mac("pixelship key id")).map((octet) => octet.toString(16).padStart(2, "0"));
  const id = hex.join("").slice(0, 8);
  const pairs = names.map((name) => netstring(name) + netstring(String(params[name])));
  const digest = String.fromCharCode(...(await mac(`pixelship-2.${id}.${pairs.join("")}`)));
  const signature = btoa(digest).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  const query = Object.entries(params).map(([name, value]) => `${name}=${escape(String(value))}`);
  return `${base}?s=2.${id}.${names.join("~")}.${signature}&${query.join("&")}${unsigned}`;
}
