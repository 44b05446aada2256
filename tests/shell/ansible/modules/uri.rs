//! `uri` against a server of the test's own, in plain text and over TLS: the same requests, the same registered results.

use super::{alike, shown};
use crate::common::pki::{Authority, server_config};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const KEYS: &str = "['changed', 'failed', 'stdout', 'status', 'url', 'redirected', 'content', 'json', 'msg', \
                    'cookies', 'cookies_string', 'content_type', 'content_length', 'x_one', 'location', 'connection', \
                    'body', 'failed_when_result']";

/// Answers one request by its path, and says what it was asked where that matters.
fn answer(stream: &mut (impl Read + Write)) {
    let mut reader = BufReader::new(&mut *stream);
    let (mut line, mut head) = (String::new(), Vec::new());
    if reader.read_line(&mut line).is_err() {
        return;
    }
    loop {
        let mut header = String::new();
        match reader.read_line(&mut header) {
            Ok(count) if count > 0 && !header.trim().is_empty() => {
                head.push(header.trim().to_owned());
            }
            _ => break,
        }
    }
    let of = |name: &str| {
        let found = head.iter().filter_map(|header| header.split_once(": "));
        let mut found = found.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map_or(String::new(), |(_, value)| value.to_owned())
    };
    let mut body = vec![0; of("content-length").parse().unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let plain = "Content-Type: text/plain; charset=utf-8\r\n";
    let (status, headers, text) = match path.split('?').next().unwrap_or_default() {
        "/" | "/ok" => (
            "200 OK",
            format!("{plain}X-One: a\r\nX-One: b\r\nSet-Cookie: c=d; Path=/\r\n"),
            "grün\n".to_owned(),
        ),
        "/json" => (
            "200 OK",
            "Content-Type: application/json\r\n".to_owned(),
            "{\"a\": [1, true, null]}".to_owned(),
        ),
        "/echo" => {
            let heard = ["content-type", "authorization", "x-secret", "user-agent"].map(of);
            let body = String::from_utf8_lossy(&body);
            ("201 Created", plain.to_owned(), format!("{method} {path} {heard:?} {body}\n"))
        }
        "/problem" => (
            "500 Broken",
            "Content-Type: application/problem+json\r\n".to_owned(),
            "{\"why\": \"none\"}".to_owned(),
        ),
        "/none" => ("204 No Content", String::new(), String::new()),
        "/to-ok" => ("302 Found", "Location: /ok\r\n".to_owned(), "there\n".to_owned()),
        "/to-echo" => ("303 See Other", "Location: echo?x=1\r\n".to_owned(), String::new()),
        "/again" => ("307 Temporary Redirect", "Location: /echo\r\n".to_owned(), String::new()),
        "/private" if of("authorization") == "Basic bWU6czNjcmV0" => {
            ("200 OK", plain.to_owned(), "welcome s3cret\n".to_owned())
        }
        "/private" => (
            "401 Unauthorized",
            format!("{plain}WWW-Authenticate: Basic realm=\"here\"\r\n"),
            "who?\n".to_owned(),
        ),
        _ => ("404 Not Found", plain.to_owned(), "nothing\n".to_owned()),
    };
    let length = if status.starts_with("204") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", text.len())
    };
    let text = if method == "HEAD" { "" } else { text.as_str() };
    let all = format!("HTTP/1.1 {status}\r\n{headers}{length}Connection: close\r\n\r\n{text}");
    let written = stream.write_all(all.as_bytes()).and_then(|()| stream.flush());
    drop(written);
}

/// Serves until the test ends; its port.
fn serve(answering: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answering));
    port
}

#[test]
fn requests_and_what_is_registered_of_them() {
    let port = serve(|mut stream| answer(&mut stream));
    let tasks = shown(
        "copy: {content: there, dest: '{{ D }}/there'}
         uri: {url: 'http://127.0.0.1:PORT/ok'}
         uri: {url: 'http://127.0.0.1:PORT', return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/ok?a=b#c', return_content: true, method: get}
         uri: {url: 'http://127.0.0.1:PORT/ok', method: HEAD}
         uri: {url: 'http://127.0.0.1:PORT/json'}
         uri: {url: 'http://127.0.0.1:PORT/json', return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/none', method: DELETE, status_code: [200, 204]}
         uri: {url: 'http://127.0.0.1:PORT/none', method: DELETE, status_code: 204}
         uri: {url: 'http://127.0.0.1:PORT/missing', status_code: '200, 404', return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/missing', status_code: 404}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/missing'}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/missing', return_content: true}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/problem'}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/missing'}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: POST, body: plain, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: POST, body: {a: [1, ü], b: null}, body_format: json, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: PUT, body: '{\"a\": 1}', body_format: json, headers: {Content-Type: text/x, X-Secret: one}, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: POST, body: {a b: 'ü&', l: [1, x], t: true}, body_format: form-urlencoded, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: POST, body: [[a, 1], [a, 2]], body_format: form-urlencoded, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: POST, src: body.txt, status_code: 201, return_content: true, headers: {Content-Type: text/x}}
         uri: {url: 'http://127.0.0.1:PORT/echo', method: POST, src: '{{ D }}/there', remote_src: true, status_code: 201, headers: {Content-Type: text/x}}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/echo', http_agent: me, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/to-ok', return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/to-ok', follow_redirects: none, status_code: 302}
         uri: {url: 'http://127.0.0.1:PORT/to-ok', method: POST}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/to-echo', method: POST, body: gone, follow_redirects: all, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/again', method: POST, body: kept, follow_redirects: all, status_code: 201, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/private'}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/private', url_username: me, url_password: s3cret, return_content: true}
         uri: {url: 'http://127.0.0.1:PORT/private', user: me, password: s3cret, force_basic_auth: true}
         uri: {url: 'http://127.0.0.1:PORT/private', user: me, password: wrong}, failed_when: false
         uri: {url: 'http://127.0.0.1:PORT/ok', creates: '{{ D }}'}
         uri: {url: 'http://127.0.0.1:PORT/ok', removes: '{{ D }}/none'}
         uri: {url: 'http://127.0.0.1:PORT/ok', removes: '{{ D }}'}
         uri: {url: 'http://127.0.0.1:PORT/json'}, until: 'r.json.a[0] == 1', retries: 2",
        KEYS,
    );
    alike(&tasks.replace("PORT", &port.to_string()), &[("files/body.txt", "from a file\n")]);
}

#[test]
fn tls_is_trusted_or_refused_as_in_ansible_and_nobody_there_is_status_minus_one() {
    let authority = Authority::new("uri");
    let leaf = authority.leaf(&["localhost"]);
    let config = Arc::new(server_config(&leaf.chain(), leaf.private_key()));
    let port = serve(move |stream| {
        let session = rustls::ServerConnection::new(config.clone()).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, stream);
        answer(&mut stream);
        stream.conn.send_close_notify();
        drop(stream.flush());
    });
    let closed = crate::common::daemon::free_port();
    let roots = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(roots.path(), &authority.root_pem).expect("the root");
    let tasks = shown(
        "uri: {url: 'https://localhost:PORT/ok', ca_path: ROOTS}
         uri: {url: 'https://localhost:PORT/ok', validate_certs: false}
         uri: {url: 'https://localhost:PORT/ok'}, failed_when: false
         uri: {url: 'https://127.0.0.1:PORT/ok', ca_path: ROOTS}, failed_when: false
         uri: {url: 'http://127.0.0.1:CLOSED/'}, failed_when: false
         uri: {url: 'https://127.0.0.1:CLOSED/'}
         copy: {content: 'there', dest: '{{ D }}/there'}",
        "['changed', 'failed', 'status', 'url', 'redirected']",
    );
    let tasks = tasks.replace("PORT", &port.to_string()).replace("CLOSED", &closed.to_string());
    alike(&tasks.replace("ROOTS", &roots.path().display().to_string()), &[]);
}
