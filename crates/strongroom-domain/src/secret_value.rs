use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret's value: text that is never printed and is wiped when dropped.
///
/// It has no `Display`, no `Serialize`, and its `Debug` shows nothing, not even the length. Equality is not offered:
/// values are compared by their keyed digests.
#[derive(Clone)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call is a place where a value leaves its wrapping: keep them few.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes of its UTF-8 form, for limits.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> serde::de::Visitor<'de> for Text {
            type Value = SecretValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretValue, E> {
                Ok(SecretValue::new(text.to_owned()))
            }

            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<SecretValue, E> {
                Ok(SecretValue::new(text))
            }

            // The default ones would quote the number or boolean found: a mistyped secret.
            fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<SecretValue, E> {
                Err(no_string())
            }

            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<SecretValue, E> {
                Err(no_string())
            }

            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<SecretValue, E> {
                Err(no_string())
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<SecretValue, E> {
                Err(no_string())
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<SecretValue, E> {
                Err(no_string())
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<SecretValue, A::Error> {
                Err(no_string())
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<SecretValue, A::Error> {
                Err(no_string())
            }
        }

        deserializer.deserialize_any(Text)
    }
}

fn no_string<E: serde::de::Error>() -> E {
    E::custom("expected a string")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_nothing() {
        assert_eq!(format!("{:?}", SecretValue::new("canary".into())), "SecretValue(..)");
    }

    #[test]
    fn a_mistyped_value_is_not_quoted() {
        for json in ["123456", "true", "null", "[\"hunter2\"]", "{\"hunter2\":1}"] {
            let error = serde_json::from_str::<SecretValue>(json).expect_err("not a string").to_string();
            assert!(!error.contains("hunter2") && !error.contains("123456"), "{error}");
            assert!(error.starts_with("expected a string"), "{error}");
        }
    }

    #[test]
    fn one_that_is_left_out_is_told_as_that() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is never there")]
        struct Holder {
            code: SecretValue,
        }
        let error = serde_json::from_str::<Holder>("{}").expect_err("no field").to_string();
        assert!(error.starts_with("missing field `code`"), "{error}");
    }
}
