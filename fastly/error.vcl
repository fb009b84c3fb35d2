# The pixel at Fastly, a VCL snippet of type error: the answers that recv.vcl asks for.
# https://www.fastly.com/documentation/reference/vcl/statements/synthetic-base64/

if (obj.status >= 601 && obj.status <= 605) {
  set obj.http.Cache-Control = "no-store, no-cache, must-revalidate, private, max-age=0";
  set obj.http.Access-Control-Allow-Origin = "*";
  set obj.http.Cross-Origin-Resource-Policy = "cross-origin";
  set obj.http.Timing-Allow-Origin = "*";
  set obj.http.X-Content-Type-Options = "nosniff";
  if (obj.status == 601) {
    set obj.status = 200;
    set obj.http.Content-Type = "image/gif";
    set obj.http.Content-Disposition = "inline";
    synthetic.base64 "R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==";
  } else if (obj.status == 602) {
    set obj.status = 302;
    set obj.http.Location = "/r.gif" if(req.url.qs == "", "", "?") req.url.qs;
    set obj.http.Set-Cookie = "_pxid=" uuid.version4() "; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=None";
    synthetic "";
  } else if (obj.status == 605) {
    set obj.status = 405;
    set obj.http.Allow = "GET, HEAD";
    synthetic "";
  } else {
    set obj.status = 404;
    synthetic "";
  }
  return(deliver);
}
