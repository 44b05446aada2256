//! Addresses of the web: what of one is dialled, sent and shown.

use super::super::super::action::Failed;
use http::Uri;

/// `http://USER:PASSWORD@HOST:PORT/PATH?QUERY`, taken apart.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) encrypted: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the `Host` header names it.
    pub(super) authority: String,
    /// Path and query.
    pub(super) target: String,
    /// Name and password that stood in it.
    pub(super) login: Option<(String, String)>,
    /// As Ansible shows it: who logs in is masked.
    pub(super) shown: String,
}

impl Address {
    pub(super) fn read(text: &str) -> Result<Self, Failed> {
        let wrong = |why: &str| {
            // Whatever it is, a password may stand in it.
            Failed::module(format!("url: {why}: it begins with http:// or https:// and has a host"))
        };
        let plain = text.split('#').next().unwrap_or_default();
        let uri: Uri = plain.parse().map_err(|_| wrong("this is no address"))?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("this is not an HTTP address")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let login = authority.as_str().rsplit_once('@').map(|(login, _)| {
            let (name, password) = login.split_once(':').unwrap_or((login, ""));
            (unquote(name), unquote(password))
        });
        let port = match authority.port_u16() {
            Some(port) => port,
            None if encrypted => 443,
            None => 80,
        };
        let whole = authority.as_str();
        let authority = whole.rsplit_once('@').map_or(whole, |(_, rest)| rest).to_owned();
        let mask = match &login {
            None => "",
            Some((_, password)) if password.is_empty() => "****@",
            Some(_) => "****:****@",
        };
        let shown = text.replacen(whole, &format!("{mask}{authority}"), 1);
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { encrypted, host, port, authority, target, login, shown })
    }

    /// Where a `Location` leads from here (RFC 3986 §5.2, without dots in paths).
    pub(super) fn joined(&self, location: &str) -> Result<Self, Failed> {
        let scheme = if self.encrypted { "https" } else { "http" };
        // As Ansible takes addresses with blanks.
        let location = &location.replace(' ', "%20");
        if location.contains("://") {
            return Self::read(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::read(&format!("{scheme}://{rest}"));
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let target = match location.chars().next() {
            Some('/') => location.to_owned(),
            Some('?') => format!("{path}{location}"),
            _ => format!("{}/{location}", path.rsplit_once('/').map_or("", |(above, _)| above)),
        };
        Self::read(&format!("{scheme}://{}{target}", self.authority))
    }

    /// Whether another one is the same server.
    pub(super) fn same_server(&self, other: &Self) -> bool {
        (self.encrypted, &self.host, self.port) == (other.encrypted, &other.host, other.port)
    }
}

/// `%41` is `A`.
fn unquote(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|digits| hex::decode(digits).ok());
        match code.as_deref() {
            Some([byte]) => {
                bytes.push(*byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_shows_nobody() {
        let Ok(address) = Address::read("https://me:s%40cret@[::1]:8443/a%20b?c=d#e") else {
            panic!("an address")
        };
        assert!(address.encrypted);
        assert_eq!((address.host.as_str(), address.port), ("::1", 8443));
        assert_eq!(address.target, "/a%20b?c=d");
        assert_eq!(address.login, Some(("me".to_owned(), "s@cret".to_owned())));
        assert_eq!(address.shown, "https://****:****@[::1]:8443/a%20b?c=d#e");
        for wrong in ["example.net/", "ftp://example.net/", "http:///x", "http://a b/"] {
            assert!(Address::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn locations_lead_on() {
        let Ok(from) = Address::read("http://one.example.net:81/a/b?c") else {
            panic!("an address")
        };
        for (location, there) in [
            ("https://two.example.net/x", "https://two.example.net/x"),
            ("//two.example.net/x", "http://two.example.net/x"),
            ("/x", "http://one.example.net:81/x"),
            ("x", "http://one.example.net:81/a/x"),
            ("?x", "http://one.example.net:81/a/b?x"),
        ] {
            let led = from.joined(location).map(|to| to.shown);
            assert_eq!(led.ok().as_deref(), Some(there), "{location}");
        }
    }
}
