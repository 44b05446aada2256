//! A fake API server: a store of secrets that answers as a real one (kube-apiserver 1.36) was seen to answer, for the few
//! requests that certroll makes. It is a fake: no admission, no watch, no other kinds but Ingresses that are listed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certroll::testing::material::{PrivateKey, parse_certificates};
use certroll::testing::model::Secret;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is odd about the next requests.
#[derive(Default)]
pub(super) struct Knobs {
    /// So many changes are made, and the connection is closed in place of an answer.
    pub(super) lose_answers: u32,
    /// Before so many changes somebody changes a label.
    pub(super) label_before: u32,
    /// Before the next change somebody writes this pair, as `openssl-script`.
    pub(super) foreign_before: Option<(String, String)>,
    /// After the next change a controller of this name puts the old pair back.
    pub(super) put_back: Option<&'static str>,
    /// Verbs that the account may not use.
    pub(super) forbidden: Vec<&'static str>,
    /// The credentials are bad.
    pub(super) unauthorized: bool,
    /// Every change fails in admission with these words.
    pub(super) denied: Option<&'static str>,
}

#[derive(Default)]
struct Store {
    secrets: BTreeMap<String, Value>,
    /// By their namespace.
    ingresses: Vec<(String, Value)>,
    version: u64,
    knobs: Knobs,
    /// Changes that were made, `MANAGER NAMESPACE/NAME`, dry runs as `dry MANAGER …`.
    log: Vec<String>,
}

/// The fake, at a port of this machine.
#[derive(Clone)]
pub(super) struct FakeCluster {
    pub(super) port: u16,
    store: Arc<Mutex<Store>>,
}

/// An answer: code, warning, body.
struct Told(u16, Option<String>, Value);

impl FakeCluster {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let fake = Self { port, store: Arc::default() };
        let served = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = served.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| fake.clone().answer(request));
                    let connection = hyper::server::conn::http1::Builder::new();
                    // An answer that is lost ends the connection with an error.
                    let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        fake
    }

    pub(super) fn knobs(&self, turn: impl FnOnce(&mut Knobs)) {
        turn(&mut self.store.lock().expect("not poisoned").knobs);
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.store.lock().expect("not poisoned").log.clone()
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let path = head.uri.path().to_owned();
        let query: BTreeMap<String, String> = head
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let header = |name: &str| {
            head.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let is_known = header("authorization") == "Bearer not-a-secret";
        let Told(code, warning, mut value) = match is_known {
            true => self.tell(&head.method, &path, &query, &header("content-type"), body),
            false => refused(401, "Unauthorized", &[]),
        };
        let dry = query.contains_key("dryRun");
        if head.method == Method::PATCH && code < 300 && !dry {
            self.afterwards(&path);
            let lost = {
                let knobs = &mut self.store.lock().expect("not poisoned").knobs;
                let lost = knobs.lose_answers > 0;
                knobs.lose_answers = knobs.lose_answers.saturating_sub(1);
                lost
            };
            if lost {
                return Err(std::io::Error::other("lost"));
            }
        }
        if header("accept").contains("as=PartialObjectMetadata") && value["kind"] == "Secret" {
            value = json!({"kind": "PartialObjectMetadata", "metadata": value["metadata"]});
        }
        let mut response =
            Response::builder().status(code).header("content-type", "application/json");
        if let Some(warning) = warning {
            response = response.header("warning", format!("299 - \"{warning}\""));
        }
        Ok(response.body(Full::new(Bytes::from(value.to_string()))).expect("a response"))
    }

    fn tell(
        &self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        kind: &str,
        body: Value,
    ) -> Told {
        let mut store = self.store.lock().expect("not poisoned");
        if store.knobs.unauthorized {
            return refused(401, "Unauthorized", &[]);
        }
        if path == "/version" {
            return Told(200, None, json!({"gitVersion": "v1.36.2-fake"}));
        }
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
            let verb = body["spec"]["resourceAttributes"]["verb"].as_str().unwrap_or_default();
            let allowed = !store.knobs.forbidden.contains(&verb);
            return Told(201, None, json!({"status": {"allowed": allowed}}));
        }
        if let Some(namespace) = path
            .strip_prefix("/apis/networking.k8s.io/v1/namespaces/")
            .and_then(|rest| rest.strip_suffix("/ingresses"))
        {
            if method == Method::POST {
                store.ingresses.push((namespace.to_owned(), body.clone()));
                return Told(201, None, body);
            }
            let here = store.ingresses.iter().filter(|(of, _)| of == namespace);
            let items: Vec<&Value> = here.map(|(_, ingress)| ingress).collect();
            return Told(200, None, json!({"kind": "IngressList", "items": items}));
        }
        let mut parts = path.strip_prefix("/api/v1/namespaces/").unwrap_or_default().split('/');
        let (namespace, resource, name) =
            (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if resource != Some("secrets") {
            return refused(404, "the server could not find the requested resource", &[]);
        }
        match (method, name) {
            (&Method::GET, None) => store.list(namespace),
            (&Method::POST, None) => store.create(namespace, body),
            (&Method::GET, Some(name)) => store.read(&format!("{namespace}/{name}"), name),
            (&Method::PATCH, Some(name)) => {
                store.patch(&format!("{namespace}/{name}"), name, query, kind, &body)
            }
            (&Method::DELETE, Some(name)) => {
                store.delete(&format!("{namespace}/{name}"), name, &body)
            }
            _ => refused(405, "method not allowed", &[]),
        }
    }

    /// What a controller does after a change.
    fn afterwards(&self, path: &str) {
        let mut store = self.store.lock().expect("not poisoned");
        let Some(manager) = store.knobs.put_back.filter(|_| !path.ends_with("-previous")) else {
            return;
        };
        store.knobs.put_back = None;
        let key = path.trim_start_matches("/api/v1/namespaces/").replace("/secrets/", "/");
        let old = store.secrets[&key]["fake-before"].clone();
        drop(store);
        let fake = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut store = fake.store.lock().expect("not poisoned");
            let version = store.next_version();
            let secret = store.secrets.get_mut(&key).expect("there");
            secret["data"] = old;
            secret["metadata"]["resourceVersion"] = json!(version);
            owned_by(secret, manager);
        });
    }
}

fn refused(code: u16, message: &str, fields: &[&str]) -> Told {
    let causes: Vec<Value> = fields.iter().map(|field| json!({"field": field})).collect();
    let body = json!({"kind": "Status", "status": "Failure", "message": message, "code": code,
        "details": {"causes": causes}});
    Told(code, None, body)
}

fn owned_by(secret: &mut Value, manager: &str) {
    let fields = json!({"f:data": {"f:tls.crt": {}, "f:tls.key": {}}});
    secret["metadata"]["managedFields"] =
        json!([{"manager": manager, "operation": "Update", "fieldsV1": fields}]);
}

/// As RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.as_object_mut().expect("an object").remove(key);
            }
            _ => merge(&mut target[key], value),
        }
    }
}

/// The server looks at pairs of type kubernetes.io/tls, and only warns.
fn warning_about(secret: &Value) -> Option<String> {
    if secret["type"] != "kubernetes.io/tls" {
        return None;
    }
    let value = |key: &str| {
        let text = secret["data"][key].as_str().unwrap_or_default();
        STANDARD.decode(text).unwrap_or_default()
    };
    let Ok(certificates) = parse_certificates(&value("tls.crt")) else {
        return Some("tls: failed to find any PEM data in certificate input".to_owned());
    };
    let Ok(key) = PrivateKey::from_pem(&Secret::new(value("tls.key")), None) else {
        return Some("tls: failed to find any PEM data in key input".to_owned());
    };
    let fits = certificates.first().is_some_and(|leaf| leaf.public_key == *key.public());
    (!fits).then(|| "tls: private key does not match public key".to_owned())
}

impl Store {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn create(&mut self, namespace: &str, mut body: Value) -> Told {
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = format!("{namespace}/{name}");
        if self.secrets.contains_key(&key) {
            return refused(409, &format!("secrets \"{name}\" already exists"), &[]);
        }
        let version = self.next_version();
        body["kind"] = json!("Secret");
        if body["type"].is_null() {
            body["type"] = json!("Opaque");
        }
        body["metadata"]["resourceVersion"] = json!(version);
        body["metadata"]["uid"] = json!(format!("uid-{version}"));
        if body["metadata"]["managedFields"].is_null() {
            owned_by(&mut body, "kubectl-create");
        }
        self.secrets.insert(key, body.clone());
        Told(201, None, body)
    }

    fn read(&self, key: &str, name: &str) -> Told {
        if self.knobs.forbidden.contains(&"get") {
            return refused(
                403,
                &format!("secrets \"{name}\" is forbidden: User \"dora\" cannot get"),
                &[],
            );
        }
        match self.secrets.get(key) {
            Some(secret) => Told(200, None, secret.clone()),
            None => refused(404, &format!("secrets \"{name}\" not found"), &[]),
        }
    }

    fn list(&self, namespace: &str) -> Told {
        let here = self.secrets.iter().filter(|(key, _)| key.split('/').next() == Some(namespace));
        let items: Vec<&Value> = here.map(|(_, secret)| secret).collect();
        Told(200, None, json!({"kind": "SecretList", "items": items}))
    }

    fn patch(
        &mut self,
        key: &str,
        name: &str,
        query: &BTreeMap<String, String>,
        kind: &str,
        body: &Value,
    ) -> Told {
        let dry = match query.get("dryRun").map(String::as_str) {
            None => false,
            Some("All") => true,
            Some(_) => return refused(422, "Unsupported value", &["dryRun"]),
        };
        let manager = query.get("fieldManager").cloned().unwrap_or_default();
        if self.knobs.forbidden.contains(&"patch") {
            return refused(
                403,
                &format!("secrets \"{name}\" is forbidden: User \"dora\" cannot patch"),
                &[],
            );
        }
        let is_apply = kind == "application/apply-patch+yaml";
        if !is_apply && kind != "application/merge-patch+json" {
            return refused(415, "unsupported media type", &[]);
        }
        if !dry {
            self.before(key, name);
        }
        let Some(present) = self.secrets.get(key).cloned() else {
            if !is_apply {
                return refused(404, &format!("secrets \"{name}\" not found"), &[]);
            }
            let mut made = body.clone();
            owned_by(&mut made, &manager);
            if dry {
                let warning = warning_about(&made);
                return Told(201, warning, made);
            }
            self.log.push(format!("{manager} {key}"));
            let namespace = key.split('/').next().unwrap_or_default().to_owned();
            return self.create(&namespace, made);
        };
        let head = &body["metadata"];
        if !head["uid"].is_null() && head["uid"] != present["metadata"]["uid"] {
            return refused(422, "Precondition failed: UID in precondition", &["metadata.uid"]);
        }
        let version = &head["resourceVersion"];
        if !version.is_null() && *version != present["metadata"]["resourceVersion"] {
            let message = format!(
                "Operation cannot be fulfilled on secrets \"{name}\": the object has been modified"
            );
            return refused(409, &message, &[]);
        }
        let theirs =
            present["metadata"]["managedFields"][0]["manager"].as_str().unwrap_or_default();
        if is_apply && theirs != manager && !query.contains_key("force") {
            let message = format!("Apply failed with 2 conflicts: conflicts with \"{theirs}\"");
            return refused(409, &message, &[".data.tls.crt", ".data.tls.key"]);
        }
        let mut after = present.clone();
        let mut change = body.clone();
        if let Some(head) = change["metadata"].as_object_mut() {
            head.remove("uid");
            head.remove("resourceVersion");
        }
        merge(&mut after, &change);
        if after["type"] != present["type"] {
            return refused(422, "field is immutable", &["type"]);
        }
        if present["immutable"] == true && after["data"] != present["data"] {
            return refused(422, "field is immutable when `immutable` is set", &["data"]);
        }
        if let Some(words) = self.knobs.denied {
            return refused(422, words, &[]);
        }
        let warning = warning_about(&after);
        if dry {
            self.log.push(format!("dry {manager} {key}"));
            return Told(200, warning, after);
        }
        self.log.push(format!("{manager} {key}"));
        if after != present {
            after["metadata"]["resourceVersion"] = json!(self.next_version());
            after["fake-before"] = present["data"].clone();
            if after["data"] != present["data"] {
                owned_by(&mut after, &manager);
            }
        }
        self.secrets.insert(key.to_owned(), after.clone());
        Told(200, warning, after)
    }

    /// What others do just before a change of ours.
    fn before(&mut self, key: &str, name: &str) {
        if name.ends_with("-certroll-previous") {
            return;
        }
        if self.knobs.label_before > 0 {
            self.knobs.label_before -= 1;
            let version = self.next_version();
            if let Some(secret) = self.secrets.get_mut(key) {
                secret["metadata"]["labels"]["touched"] = json!(version);
                secret["metadata"]["resourceVersion"] = json!(version);
            }
        }
        if let Some((certificate, private)) = self.knobs.foreign_before.take() {
            let version = self.next_version();
            if let Some(secret) = self.secrets.get_mut(key) {
                secret["data"]["tls.crt"] = json!(STANDARD.encode(certificate));
                secret["data"]["tls.key"] = json!(STANDARD.encode(private));
                secret["metadata"]["resourceVersion"] = json!(version);
                owned_by(secret, "openssl-script");
            }
        }
    }

    fn delete(&mut self, key: &str, name: &str, body: &Value) -> Told {
        let Some(secret) = self.secrets.get(key) else {
            return refused(404, &format!("secrets \"{name}\" not found"), &[]);
        };
        for field in ["uid", "resourceVersion"] {
            let wanted = &body["preconditions"][field];
            if !wanted.is_null() && *wanted != secret["metadata"][field] {
                return refused(409, "Precondition failed", &[]);
            }
        }
        self.log.push(format!("delete {key}"));
        let gone = self.secrets.remove(key).unwrap_or_default();
        Told(200, None, gone)
    }
}
