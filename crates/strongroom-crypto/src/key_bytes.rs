//! The 256 bits of a key in one place of the heap, and the subkeys derived from them.

use std::sync::LazyLock;

use aws_lc_rs::{
    hkdf::{HKDF_SHA256, Salt},
    hmac,
};
use zeroize::{Zeroize, Zeroizing};

use crate::primitives::{digest_array, random_fill};

/// Fixed for the product: keys are random already, so the salt only tells our derivations from others'.
static SALT: LazyLock<Salt> = LazyLock::new(|| Salt::new(HKDF_SHA256, b"strongroom-subkey-v1"));

/// Boxed, so that moving the owner does not leave a copy behind; wiped on drop; prints nothing.
pub(crate) struct KeyBytes(Box<[u8; Self::LEN]>);

impl KeyBytes {
    pub(crate) const LEN: usize = 32;

    pub(crate) fn random() -> Self {
        let mut bytes = Self::zeroed();
        random_fill(bytes.as_mut());
        bytes
    }

    /// To be filled in place.
    pub(crate) fn zeroed() -> Self {
        Self(Box::new([0; Self::LEN]))
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8; Self::LEN] {
        &mut self.0
    }

    pub(crate) fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The subkey for one use. A label is never given to two uses.
    pub(crate) fn subkey(&self, label: &'static str) -> Zeroizing<[u8; Self::LEN]> {
        let mut subkey = Zeroizing::new([0; Self::LEN]);
        SALT.extract(self.expose())
            .expand(&[label.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(subkey.as_mut()))
            .expect("HKDF-SHA256 gives 32 bytes");
        subkey
    }

    pub(crate) fn mac_key(&self, label: &'static str) -> MacKey {
        MacKey(Box::new(hmac::Key::new(hmac::HMAC_SHA256, self.subkey(label).as_ref())))
    }
}

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// An HMAC-SHA256 key with its first blocks already hashed. Boxed: it is over a kilobyte, and a data
/// key that is only read with never makes one.
pub(crate) struct MacKey(Box<hmac::Key>);

impl MacKey {
    /// The MAC of the concatenated `parts`; the caller sees to it that they have one reading.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        digest_array(context.sign().as_ref())
    }
}
