//! OCPP's enumerations: each value is a word, spelled exactly as OCPP spells it.

/// A word of one of OCPP's enumerations.
pub trait Word: Copy + PartialEq + 'static {
    /// Every word of this enumeration.
    const ALL: &'static [Self];

    /// As OCPP writes it.
    fn as_str(self) -> &'static str;

    /// The word of this text; nothing when this enumeration does not have it. Case counts.
    fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str() == text)
    }
}

/// Declares an enumeration; the texts are OCPP's.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* #[doc = concat!("`", $text, "`")] $word,)+
        }

        impl $crate::Word for $name {
            const ALL: &'static [$name] = &[$($name::$word,)+];

            fn as_str(self) -> &'static str {
                match self {
                    $($name::$word => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::Word::as_str(*self))
            }
        }

        impl From<$name> for &'static str {
            fn from(word: $name) -> &'static str {
                $crate::Word::as_str(word)
            }
        }
    };
}

pub(crate) use words;
