// The pixel as a Cloudflare Worker. It answers as nginx/ does; the log is Logpush's.
// https://developers.cloudflare.com/workers/runtime-apis/handlers/fetch/

const GIF = Uint8Array.from(
  atob("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="), (byte) => byte.charCodeAt(0));
const PATHS = /^\/((pixel|i|r)\.gif|track\/?|v1\/pixel\/.*)$/;
const KNOWN = /(^|;)\s*_pxid=([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-z+/]{22}==)\s*(;|$)/i;
const HEADERS = {
  "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
  "Access-Control-Allow-Origin": "*",
  "Cross-Origin-Resource-Policy": "cross-origin",
  "Timing-Allow-Origin": "*",
  "X-Content-Type-Options": "nosniff",
};

function answer(status, body, headers) {
  return new Response(body, { status, headers: { ...HEADERS, ...headers } });
}

export default {
  fetch(request) {
    const path = new URL(request.url).pathname;
    if (!PATHS.test(path)) return answer(404, null);
    if (!["GET", "HEAD"].includes(request.method)) return answer(405, null, { Allow: "GET, HEAD" });
    const refuses = request.headers.get("Sec-GPC") === "1";
    if (path === "/i.gif" && !refuses && !KNOWN.test(request.headers.get("Cookie") ?? "")) {
      const query = request.url.indexOf("?");
      return answer(302, null, {
        Location: "/r.gif" + (query < 0 ? "" : request.url.slice(query)),
        "Set-Cookie": `_pxid=${crypto.randomUUID()}; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=None`,
      });
    }
    const about = { "Content-Type": "image/gif", "Content-Length": "43", "Content-Disposition": "inline" };
    return answer(200, request.method === "HEAD" ? null : GIF, about);
  },
};
