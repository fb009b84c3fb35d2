# The pixel at Fastly, a VCL snippet of type recv: what each request is to be answered.
#
# Every answer is made in error.vcl beside this file; no origin is asked. The visitor's cookie is taken out of the
# request where it is malformed or not wanted, so that the log (log-format.txt) does not hold it.
# https://www.fastly.com/documentation/reference/vcl/statements/error/

if (req.http.Sec-GPC == "1" || req.http.Cookie:_pxid !~ "(?i)^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-z+/]{22}==)$") {
  unset req.http.Cookie:_pxid;
}

if (req.url.path !~ "^/((pixel|i|r)\.gif|track/?|v1/pixel/.*)$") {
  error 604 "Not Found";
}
if (req.method != "GET" && req.method != "HEAD") {
  error 605 "Method Not Allowed";
}
if (req.url.path == "/i.gif" && req.http.Sec-GPC != "1" && !req.http.Cookie:_pxid) {
  error 602 "Found";
}
error 601 "OK";
