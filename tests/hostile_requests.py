"""Requests that are malformed, or whose parts have odd names."""

from collections.abc import Iterator

from tests.pictures import seven

Cases = Iterator[tuple[str, bytes]]
SEVEN = seven("JPEG")
FORM = b"multipart/form-data; boundary=x"


def part(name: bytes = b'name="file"; filename="a.png"', data: bytes = SEVEN) -> bytes:
    head = b"--x\r\nContent-Disposition: form-data; " + name
    return head + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def request(body: bytes, content_type: bytes = FORM, *, length=None, head=b"") -> bytes:
    length = len(body) if length is None else length
    return (
        b"POST /predict HTTP/1.1\r\nHost: digits.example\r\n"
        + (b"Content-Type: " + content_type + b"\r\n" if content_type else b"")
        + (b"" if length == "" else f"Content-Length: {length}\r\n".encode())
        + head
        + b"\r\n"
        + body
    )


def chunked(body: bytes) -> bytes:
    return request(body, length="", head=b"Transfer-Encoding: chunked\r\n")


def upload(data: bytes, name: bytes = b"a.png") -> bytes:
    return request(form(part(b'name="file"; filename="' + name + b'"', data)))


def multiparts() -> Cases:
    good = form(part())
    yield "no boundary", request(good, b"multipart/form-data")
    yield "empty boundary", request(good, b"multipart/form-data; boundary=")
    yield "other boundary", request(good, b"multipart/form-data; boundary=y")
    yield (
        "long boundary",
        request(good, FORM + 5000 * b"x"),
    )
    yield "no content type", request(good, b"")
    yield "JSON", request(good, b"application/json")
    yield "urlencoded", request(good, b"application/x-www-form-urlencoded")
    yield "no body", request(b"")
    yield "no length", request(good, length="")
    for wrong in (-1, 0, 1, len(good) - 1, len(good) + 1, 10**9, 10**30, "7a", "+7"):
        yield f"length {wrong}", request(good, length=wrong)
    yield from chunks(good)
    text = b'name="a"'
    yield "thousand fields", request(form(*1000 * [part(text, b"7")], part()))
    yield "thousand files", request(form(*1000 * [part(data=b"7")]))
    yield "10 MB of text", request(form(part(text, bytes(10_000_000)), part()))
    yield "part's head of 100 kB", request(form(part(b"a=" + 100_000 * b"a")))
    yield "thousand heads", request(form(part(b'name="file"' + 1000 * b"\r\na: b")))
    yield "two files", request(form(part(), part()))
    yield "file in a text field", request(form(part(b'name="file"')))
    yield "no name", request(form(part(b'filename="a.png"')))
    yield "nested", request(form(part(b'name="file"\r\nContent-Type: ' + FORM, good)))
    yield "cut off", request(good[:-9])
    yield "only boundaries", request(1000 * b"--x\r\n")
    yield "line breaks", request(1_000_000 * b"\r\n")
    yield "almost boundaries", request(form(part(data=300_000 * b"\r\n--")))
    yield "no disposition", request(b"--x\r\na: b\r\n\r\n7\r\n--x--\r\n")


def chunks(good: bytes) -> Cases:
    size = f"{len(good):x}".encode()
    yield "chunked", chunked(size + b"\r\n" + good + b"\r\n0\r\n\r\n")
    yield "chunked, cut off", chunked(size + b"\r\n" + good[:99])
    yield "chunked, no end", chunked(size + b"\r\n" + good + b"\r\n")
    yield "chunk of no size", chunked(b"\r\n" + good)
    yield "chunk of odd size", chunked(b"-5\r\n" + good)
    yield "chunk of vast size", chunked(40 * b"f" + b"\r\n" + good)
    yield "chunk too short", chunked(b"5\r\n" + good + b"\r\n0\r\n\r\n")
    yield (
        "chunks of a byte",
        chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in good) + b"0\r\n\r\n"),
    )


def file_names() -> Cases:
    for name in [
        b"../../x.png",
        b"/etc/passwd.png",
        b"..\\..\\x.png",
        b"a\0.png",
        b"a.png\0",
        b"a\r\nX-Injected: 1\r\n.png",
        5000 * b"a" + b".png",
        "😀.png".encode(),
        b"CON.png",
        "a\u202egnp.exe.png".encode(),
        b"x.png.",
        b".png",
        b"png",
        b"a.php.png",
        b"a.png.php",
        b"\xff\xfe.png",
        b"%2e%2e%2fx.png",
        b'a\\".png',
        b" .png",
        b"a.png ",
        b"a.\xd0\xa0NG",
        b"${jndi:ldap://a}.png",
        b"<script>.png",
    ]:
        yield ascii(name)[:40], upload(SEVEN, name)
    starred = b"name=\"file\"; filename*=UTF-8''..%2F..%2Fx.png"
    yield "encoded name", request(form(part(starred)))
    yield (
        "name in odd letters",
        request(form(part(starred.replace(b"UTF-8", b"utf-99")))),
    )


def heads() -> Cases:
    good = form(part())
    yield from hosts(good)
    yield "two hosts", request(good, head=b"Host: b\r\n")
    yield "header of 100 kB", request(good, head=b"a: " + 100_000 * b"a" + b"\r\n")
    yield "thousand headers", request(good, head=1000 * b"a: b\r\n")
    yield "header without a colon", request(good, head=b"nonsense\r\n")
    yield "header of odd bytes", request(good, head=b"a: \0\xff\r\n")
    yield "folded header", request(good, head=b"a: b\r\n c\r\n")
    yield "HTTP/1.0", request(good).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    yield "HTTP/0.9", b"GET /\r\n"
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "HTTP/9.9", request(good).replace(b"HTTP/1.1", b"HTTP/9.9", 1)
    yield "Expect", request(good, head=b"Expect: 100-continue\r\n")
    yield "Expect more", request(good, head=b"Expect: miracles\r\n")
    both = b"Transfer-Encoding: chunked\r\n"
    yield "length and chunks", request(b"0\r\n\r\n", head=both)
    yield "gzip", request(good, head=b"Transfer-Encoding: gzip\r\n")
    yield "upgrade", request(good, head=b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
    yield "forwarded", request(good, head=b"X-Forwarded-Host: evil.example\r\n")
    yield "range", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=9-1,-0,a\r\n\r\n"
    yield "TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500)
    yield "nothing", b""
    yield "line breaks", 2000 * b"\r\n"
    yield "zeros", bytes(100_000)
    yield from targets()


def hosts(good: bytes) -> Cases:
    for host in [
        b"",
        b"a b",
        b"a/../b",
        b"[::",
        b"a:99999",
        5000 * b"a",
        b"\xff",
        b"a@b",
    ]:
        ours = request(good).replace(b"digits.example", host, 1)
        yield f"Host {ascii(host)[:20]}", ours


def targets() -> Cases:
    for path in [
        b"/static/uploads/../../app.py",
        b"/static/%2e%2e/app.py",
        b"/static/..%2fapp.py",
        b"/static/uploads/%00.png",
        b"/static//etc/passwd",
        b"/static/",
        b"/static/uploads",
        b"/static/uploads/.gitkeep",
        b"//",
        b"/%ff",
        b"/predict/",
        b"/?" + 4000 * b"a",
        b"/" + 5000 * b"a",
        b"http://evil.example/",
        b"*",
    ]:
        yield ascii(path)[:40], b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for method in [
        b"OPTIONS",
        b"TRACE",
        b"CONNECT",
        b"PATCH",
        b"get",
        b"A" * 99,
    ]:
        yield method.decode()[:20], method + b" /predict HTTP/1.1\r\nHost: a\r\n\r\n"
