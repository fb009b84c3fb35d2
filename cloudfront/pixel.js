// The pixel as a CloudFront Function: viewer request, runtime cloudfront-js-2.0.
//
// It answers every request itself, as nginx/ does; no origin is asked. The log is CloudFront's own.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html

const crypto = require('crypto');

const GIF = 'R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==';
const PATHS = /^\/((pixel|i|r)\.gif|track\/?|v1\/pixel\/.*)$/;
const WELL_FORMED = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-z+/]{22}==)$/i;

function handler(event) {
    const request = event.request;
    if (!PATHS.test(request.uri)) return answer(404, 'Not Found');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
        return answer(405, 'Method Not Allowed', { allow: 'GET, HEAD' });
    }
    const gpc = request.headers['sec-gpc'];
    const refuses = gpc !== undefined && gpc.value === '1';
    if (request.uri === '/i.gif' && !refuses && !isKnown(request.cookies._pxid)) {
        return redirect(request.rawQueryString(), event.context.requestId);
    }
    const response = answer(200, 'OK', { 'content-type': 'image/gif', 'content-disposition': 'inline' });
    if (request.method === 'GET') response.body = { encoding: 'base64', data: GIF };
    return response;
}

function isKnown(cookie) {
    if (cookie === undefined) return false;
    return (cookie.multiValue || [cookie]).some((each) => WELL_FORMED.test(each.value));
}

function redirect(query, requestId) {
    const location = query === undefined ? '/r.gif' : '/r.gif?' + query;
    const response = answer(302, 'Found', { location: location });
    const hex = crypto.createHash('sha256').update(requestId + Math.random()).digest('hex');
    const id = [hex.slice(0, 8), hex.slice(8, 12), '8' + hex.slice(13, 16), '8' + hex.slice(17, 20), hex.slice(20, 32)];
    const attributes = 'Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=None';
    response.cookies = { _pxid: { value: id.join('-'), attributes: attributes } };
    return response;
}

function answer(status, description, more) {
    const headers = {
        'cache-control': { value: 'no-store, no-cache, must-revalidate, private, max-age=0' },
        'access-control-allow-origin': { value: '*' },
        'cross-origin-resource-policy': { value: 'cross-origin' },
        'timing-allow-origin': { value: '*' },
        'x-content-type-options': { value: 'nosniff' },
    };
    Object.keys(more || {}).forEach((name) => { headers[name] = { value: more[name] }; });
    return { statusCode: status, statusDescription: description, headers: headers };
}
