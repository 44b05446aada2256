//! DER values within DER values.

use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Encode, ErrorKind, Reader, Result, SliceReader, Tag, TagNumber};

/// `[0]`, explicit.
pub(super) const ZERO: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
/// `[0]`, in place of the tag of an OCTET STRING.
pub(super) const ZERO_OCTETS: Tag =
    Tag::ContextSpecific { constructed: false, number: TagNumber(0) };

/// What a SEQUENCE, a SET or an explicit tag holds.
pub(super) fn parts(value: AnyRef<'_>) -> Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(value.value())?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader)?);
    }
    Ok(found)
}

/// The first parts, of which there must be as many.
pub(super) fn first<const N: usize>(value: AnyRef<'_>) -> Result<[AnyRef<'_>; N]> {
    let mut found = parts(value)?;
    found.truncate(N);
    found.try_into().map_err(|_| ErrorKind::Failed.into())
}

/// What an explicit `[0]` holds.
pub(super) fn inner(value: AnyRef<'_>) -> Result<AnyRef<'_>> {
    let [inner] = first(value)?;
    Ok(inner)
}

/// These values, one after the other, as one of that tag.
pub(super) fn joined(tag: Tag, parts: &[&[u8]]) -> Result<Vec<u8>> {
    AnyRef::new(tag, &parts.concat())?.to_der()
}
