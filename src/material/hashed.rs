//! The name under which OpenSSL looks for a certificate in a directory of them, as `c_rehash` and `openssl rehash` make it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::X509Name;

/// The eight hex digits that such a name begins with: a hash over the subject in a form that compares without regard to
/// case, blanks and string types (`X509_NAME_hash` since OpenSSL 1.0).
pub(super) fn subject_hash(subject: &X509Name<'_>) -> String {
    let mut canonical = Vec::new();
    for names in subject.iter_rdn() {
        let mut entries: Vec<Vec<u8>> = Vec::new();
        for name in names.iter() {
            let kind = tagged(0x06, name.attr_type().as_bytes());
            entries.push(tagged(0x30, &[kind, value(name.attr_value())].concat()));
        }
        // DER wants the members of a set in order.
        entries.sort();
        canonical.extend(tagged(0x31, &entries.concat()));
    }
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &canonical);
    let first: Vec<u8> = hash.as_ref().iter().take(4).rev().copied().collect();
    hex::encode(first)
}

/// A value as it is compared: texts as UTF-8 in lower case, with single blanks; anything else as it is.
fn value(any: &Any<'_>) -> Vec<u8> {
    let wide = |size: usize| -> Vec<u32> {
        let unit = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
        any.data.chunks(size).map(unit).collect()
    };
    let text: Option<String> = match any.tag() {
        Tag::Utf8String => String::from_utf8(any.data.to_vec()).ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::T61String => {
            Some(any.data.iter().copied().map(char::from).collect())
        }
        Tag::BmpString => wide(2).into_iter().map(char::from_u32).collect(),
        Tag::UniversalString => wide(4).into_iter().map(char::from_u32).collect(),
        _ => None,
    };
    let Some(text) = text else { return tagged(any.tag().0 as u8, any.data) };
    let blank = |c: char| matches!(c, ' ' | '\t'..='\r');
    let words: Vec<&str> = text.split(blank).filter(|word| !word.is_empty()).collect();
    tagged(0x0c, words.join(" ").to_ascii_lowercase().as_bytes())
}

/// DER of a value with this tag.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes: Vec<u8> =
            length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        out.push(0x80 | bytes.len() as u8);
        out.extend(bytes);
    }
    out.extend(content);
    out
}
