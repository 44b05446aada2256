//! Requests and their answers, one connection each, until an answer leads nowhere else.

use super::address::Address;
use super::request::{Follow, Request};
use crate::model::text::{chain, printable};
use crate::verify::{Dial, TlsClient, not_connected};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;

/// Of an answer's body at most this is read.
const LARGEST: usize = 4 << 20;
/// As urllib.
const REDIRECTIONS: usize = 10;

/// What came of it.
pub(super) enum Answered {
    /// The last answer.
    Answer(Box<Answer>),
    /// None, and why.
    Nothing(String),
}

pub(super) struct Answer {
    /// Whose it is.
    pub(super) address: Address,
    pub(super) status: StatusCode,
    /// The words behind the code.
    pub(super) reason: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

pub(super) async fn exchange(
    request: &Request,
    dial: &dyn Dial,
    tls: Option<&TlsClient>,
) -> Answered {
    match all(request, dial, tls).await {
        Ok(answer) => Answered::Answer(Box::new(answer)),
        Err(why) => Answered::Nothing(printable(why.as_bytes(), 400)),
    }
}

async fn all(
    request: &Request,
    dial: &dyn Dial,
    tls: Option<&TlsClient>,
) -> Result<Answer, String> {
    let mut address = request.address.clone();
    let mut method = request.method.clone();
    let mut headers = request.headers.clone();
    let body = request.body.as_ref().map(|body| Bytes::copy_from_slice(body.expose()));
    let mut body = body.unwrap_or_default();
    let mut sends = request.body.is_some();
    for _ in 0..=REDIRECTIONS {
        let sent = sends.then(|| body.clone());
        let mut answer = one(&address, &method, &headers, sent.clone(), dial, tls).await?;
        let own = request.address.same_server(&address);
        if let Some(login) = request.login.as_ref().filter(|_| own)
            && answer.status == StatusCode::UNAUTHORIZED
            && !headers.contains_key(AUTHORIZATION)
            && asks_for_basic(&answer.headers)
        {
            headers.insert(AUTHORIZATION, login.clone());
            answer = one(&address, &method, &headers, sent, dial, tls).await?;
        }
        let Some(location) = location(&answer) else { return Ok(answer) };
        let reads = matches!(method, Method::GET | Method::HEAD);
        let follows = match request.follow {
            Follow::None => false,
            Follow::Safe => reads,
            Follow::All => true,
        };
        if !follows {
            return Ok(answer);
        }
        let next = address.joined(&location);
        let next = next.map_err(|_| {
            "the answer redirects to something that is not an HTTP address".to_owned()
        })?;
        if !matches!(answer.status.as_u16(), 307 | 308) {
            // What is sent is not sent again (RFC 9110 §15.4).
            sends = false;
            body = Bytes::new();
            for name in [CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING] {
                headers.remove(name);
            }
            let becomes_get = match answer.status.as_u16() {
                303 | 302 => method != Method::HEAD,
                301 => method == Method::POST,
                _ => false,
            };
            if becomes_get {
                method = Method::GET;
            }
        }
        if !next.same_server(&address) {
            // Who we are is nobody else's business.
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        }
        address = next;
    }
    Err(format!("more than {REDIRECTIONS} redirections"))
}

fn asks_for_basic(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    all.any(|value| value.trim_start().to_ascii_lowercase().starts_with("basic"))
}

fn location(answer: &Answer) -> Option<String> {
    let leads = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let to = answer.headers.get(LOCATION).filter(|_| leads)?;
    Some(String::from_utf8_lossy(to.as_bytes()).into_owned())
}

async fn one(
    address: &Address,
    method: &Method,
    headers: &HeaderMap,
    body: Option<Bytes>,
    dial: &dyn Dial,
    tls: Option<&TlsClient>,
) -> Result<Answer, String> {
    let stream = dial.dial(&address.host, address.port).await;
    let stream = stream.map_err(|error| not_connected(&address.host, &error).describe())?;
    let stream = match (address.encrypted, tls) {
        (false, _) => stream,
        (true, Some(tls)) => {
            tls.connect(&address.host, stream).await.map_err(|error| chain(&error))?
        }
        (true, None) => return Err("there is no TLS here".to_owned()),
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    let mut request = http::Request::builder().method(method).uri(&address.target);
    if let Some(all) = request.headers_mut() {
        let host = HeaderValue::from_str(&address.authority).map_err(|error| error.to_string())?;
        all.insert(HOST, host);
        all.insert(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in headers {
            all.insert(name, value.clone());
        }
    }
    let request = request.body(Full::new(body.unwrap_or_default()));
    let request = request.map_err(|error| error.to_string())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|error| chain(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<hyper::Error>() {
            Some(error) => chain(error),
            None => format!("the answer is longer than {} MiB", LARGEST >> 20),
        })?;
        Ok::<_, String>((head, body.to_bytes().to_vec()))
    };
    // Driven beside it, in this task: what is dropped is closed.
    let (head, body) = tokio::select! {
        biased;
        answered = asked => answered?,
        ended = async {
            let ended = connection.await;
            // The answer may lie ready: it is looked at first.
            match ended {
                Ok(()) => std::future::pending::<String>().await,
                Err(error) => chain(&error),
            }
        } => return Err(ended),
    };
    let given = head.extensions.get::<hyper::ext::ReasonPhrase>();
    let reason = match given {
        Some(reason) => printable(reason.as_bytes(), 200),
        None => head.status.canonical_reason().unwrap_or_default().to_owned(),
    };
    Ok(Answer {
        address: address.clone(),
        status: head.status,
        reason,
        headers: head.headers,
        body,
    })
}
