<?php
// Signs pixel URLs, version 2 (docs/signatures.md). For CMSs and mailers; PHP 7.2 or later.
//
//   require 'pixelship.php';
//   pixelship_sign(['k' => 'story-1', 'd' => 'news.pageviews', 'c' => $url], getenv('PIXELSHIP_SECRET'));
//
// $params: all that is signed, in the order of the URL, as UTF-8; k, c and d are needed. exp and nbf are
// seconds since 1970. $unsigned: text such as '&id=*|UNIQID|*', put behind as it is.

function pixelship_sign(array $params, string $secret, string $base = 'https://px.example.org/pixel.gif', string $unsigned = ''): string
{
    $names = array_map('strval', array_keys($params));
    sort($names, SORT_STRING);
    if ($secret === '') throw new InvalidArgumentException('A secret is needed.');
    foreach ($names as $name)
        if (!preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $name) || $name === 's')
            throw new InvalidArgumentException("$name cannot be signed.");
    if (count($names) > 32) throw new InvalidArgumentException('Over 32 parameters cannot be signed.');
    foreach (['k', 'c', 'd'] as $name)
        if ((string) ($params[$name] ?? '') === '') throw new InvalidArgumentException("$name is needed.");
    $netstring = function (string $text): string { return strlen($text) . ":$text,"; };
    $id = substr(hash_hmac('sha256', 'pixelship key id', $secret), 0, 8);
    $message = "pixelship-2.$id.";
    foreach ($names as $name) $message .= $netstring($name) . $netstring((string) $params[$name]);
    $signature = rtrim(strtr(base64_encode(hash_hmac('sha256', $message, $secret, true)), '+/', '-_'), '=');
    $query = '';
    foreach ($params as $name => $value) $query .= "&$name=" . rawurlencode((string) $value);
    return "$base?s=2.$id." . implode('~', $names) . ".$signature$query$unsigned";
}
