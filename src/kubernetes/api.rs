//! Requests to an API server: bounded in time and size, with its warnings, and with what went wrong in words.

use super::access::Cluster;
use crate::model::Secret;
use crate::model::text::printable;
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use kube_client::client::Body;
use serde::Deserialize;
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// A secret holds at most 1 MiB, base64 of it a third more; lists of Ingresses may be longer.
const LARGEST: usize = 8 << 20;
/// What a message of the server's may be long.
const MESSAGE: usize = 400;

/// What a request sends.
pub(crate) enum Sent {
    Nothing,
    /// JSON.
    Json(Secret<Vec<u8>>),
    /// A JSON merge patch (RFC 7386).
    MergePatch(Secret<Vec<u8>>),
    /// A server-side apply.
    Apply(Secret<Vec<u8>>),
}

/// An answer with a 2xx code.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The texts of its `Warning` headers. Printable.
    pub warnings: Vec<String>,
    /// Its body.
    pub body: Secret<Vec<u8>>,
}

/// The server said no: what its `Status` object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The HTTP code.
    pub code: u16,
    /// Printable, bounded.
    pub message: String,
    /// The fields that it names as causes.
    pub fields: Vec<String>,
}

impl Status {
    /// Whether the server surely did nothing.
    pub(crate) fn is_final(&self) -> bool {
        self.code < 500
    }

    /// Whether it names this field.
    pub(crate) fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|one| one == field)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            401 => f.write_str("the API server did not accept the credentials (401 Unauthorized)"),
            code if self.message.is_empty() => write!(f, "the API server answered {code}"),
            code => write!(f, "the API server answered {code}: {}", self.message),
        }
    }
}

/// No 2xx answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// There was no connection, so nothing was sent.
    #[error("the API server cannot be reached: {0}")]
    NotSent(String),
    /// The server said no.
    #[error("{0}")]
    Refused(Status),
    /// There was no sensible answer: whether the request had an effect has to be looked up.
    #[error("no answer from the API server: {0}")]
    Unclear(String),
}

impl Failed {
    /// The server's word, where it said one.
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) => Some(status),
            _ => None,
        }
    }
}

impl Cluster {
    /// Asks for JSON.
    ///
    /// # Errors
    /// Everything but a 2xx answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failed> {
        self.request(Method::GET, path, Sent::Nothing, "application/json").await
    }

    /// Sends something and asks for the answer without its data: a key need not travel back.
    ///
    /// # Errors
    /// Everything but a 2xx answer.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        sent: Sent,
    ) -> Result<Answer, Failed> {
        const WITHOUT_DATA: &str =
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json;q=0.1";
        self.request(method, path, sent, WITHOUT_DATA).await
    }

    /// Sends JSON and asks for JSON.
    ///
    /// # Errors
    /// Everything but a 2xx answer.
    pub(crate) async fn post(&self, path: &str, sent: Sent) -> Result<Answer, Failed> {
        self.request(Method::POST, path, sent, "application/json").await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        sent: Sent,
        accept: &str,
    ) -> Result<Answer, Failed> {
        let (kind, body) = match sent {
            Sent::Nothing => (None, Body::empty()),
            Sent::Json(body) => (Some("application/json"), body_of(&body)),
            Sent::MergePatch(body) => (Some("application/merge-patch+json"), body_of(&body)),
            Sent::Apply(body) => (Some("application/apply-patch+yaml"), body_of(&body)),
        };
        let mut request = Request::builder().method(method).uri(path).header("accept", accept);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        if let Some(token) = &self.token {
            let header = token.header().map_err(|error| Failed::NotSent(error.to_string()))?;
            request = request.header("authorization", header);
        }
        let request = request.body(body).map_err(|error| Failed::NotSent(error.to_string()))?;
        let _turn = self.turns.acquire().await;
        let answered = async {
            let response = self.client.send(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|error| Failed::Unclear(words(&*error)))?;
            Ok((head, Secret::new(body.to_bytes().to_vec())))
        };
        let late = || Failed::Unclear(format!("timed out after {} s", ANSWER.as_secs()));
        let (head, body) = tokio::time::timeout(ANSWER, answered).await.map_err(|_| late())??;
        if !head.status.is_success() {
            return Err(Failed::Refused(status(head.status.as_u16(), body.expose())));
        }
        let warnings = head.headers.get_all("warning").iter();
        let warnings = warnings.map(|value| warning(value.as_bytes())).take(20).collect();
        Ok(Answer { warnings, body })
    }
}

/// The client's own copy cannot be wiped.
fn body_of(bytes: &Secret<Vec<u8>>) -> Body {
    Body::from(bytes.expose().clone())
}

fn failed(error: &kube_client::Error) -> Failed {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut connected = true;
    while let Some(one) = cause {
        if let Some(client) = one.downcast_ref::<hyper_util::client::legacy::Error>() {
            connected &= !client.is_connect();
        }
        cause = one.source();
    }
    match connected {
        true => Failed::Unclear(words(error)),
        false => Failed::NotSent(words(error)),
    }
}

/// The causes, without the layers of the client that only say that there is one.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    let told = words
        .iter()
        .filter(|text| !text.starts_with("ServiceError") && !text.starts_with("client error ("));
    let told: Vec<&str> = told.map(String::as_str).collect();
    let told = if told.is_empty() { words.join(": ") } else { told.join(": ") };
    let hint = match told.contains("CaUsedAsEndEntity") || told.contains("UnknownIssuer") {
        true => {
            "; the kubeconfig's certificate-authority must be the CA's certificate, not the server's own"
        }
        false => "",
    };
    printable(format!("{told}{hint}").as_bytes(), MESSAGE)
}

fn status(code: u16, body: &[u8]) -> Status {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Told {
        message: String,
        details: Option<Details>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Details {
        causes: Vec<Cause>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Cause {
        field: String,
    }
    let told: Told = serde_json::from_slice(body).unwrap_or_default();
    let one_line = |text: &str| printable(text.as_bytes(), MESSAGE).replace('\n', " ");
    let causes = told.details.unwrap_or_default().causes;
    let fields = causes.iter().take(20).map(|cause| one_line(&cause.field)).collect();
    Status { code, message: one_line(&told.message), fields }
}

/// `299 - "TEXT"` (RFC 9111 §5.5, obsolete there and used by Kubernetes).
fn warning(header: &[u8]) -> String {
    let text = printable(header, MESSAGE);
    let quoted = text.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(text.clone(), |(inner, _)| inner.replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_lose_their_code_and_quotes() {
        let text = warning(b"299 - \"tls: private key does not match public key\"");
        assert_eq!(text, "tls: private key does not match public key");
        assert_eq!(warning(b"odd"), "odd");
    }

    #[test]
    fn what_the_server_says_of_itself_is_read_and_bounded() {
        let body =
            br#"{"kind":"Status","message":"Secret \"a\" is invalid","reason":"Invalid","code":422,
            "details":{"causes":[{"field":"data","message":"field is immutable"}]}}"#;
        let told = status(422, body);
        assert!(told.names("data") && !told.names("type"));
        assert_eq!(told.to_string(), "the API server answered 422: Secret \"a\" is invalid");
        assert_eq!(status(503, b"<html>").to_string(), "the API server answered 503");
        let long = format!(r#"{{"message":"{}"}}"#, "x ".repeat(4000));
        assert!(status(400, long.as_bytes()).message.len() <= MESSAGE);
    }
}
