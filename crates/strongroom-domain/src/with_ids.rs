//! Enums whose members have an id on the wire and in the database.

/// Declares one, with `ALL`, `parse` and `id`. An id after `|` is read too, and never written.
macro_rules! with_ids {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $id:literal $(| $other:literal)*,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$item_doc])* $item,)+
        }

        impl $name {
            /// All of them, in their order.
            pub const ALL: [Self; [$($id),+].len()] = [$(Self::$item),+];

            /// Reads an id.
            #[must_use]
            pub fn parse(id: &str) -> Option<Self> {
                match id {
                    $($id $(| $other)* => Some(Self::$item),)+
                    _ => None,
                }
            }

            /// As manifests, answers and the database write it.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$item => $id,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.id())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let id = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(from)?;
                Self::parse(&id).ok_or_else(|| serde::de::Error::custom("not an id of its kind"))
            }
        }
    };
}

pub(crate) use with_ids;
