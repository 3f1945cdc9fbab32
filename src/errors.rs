//! Enums of errors.

/// An enum of errors. Each variant stands with the message that it prints.
macro_rules! errors {
    ($(#[$meta:meta])* pub enum $name:ident { $(
        $(#[$doc:meta])*
        $variant:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })?
            $(($inner:ident: $of:ty))? => $message:literal $(, $argument:expr)*;
    )* }) => {
        $(#[$meta])*
        #[non_exhaustive]
        pub enum $name { $(
            $(#[$doc])*
            $variant $({ $($(#[$field_doc])* $field: $type),+ })? $(($of))?,
        )* }

        impl ::core::fmt::Display for $name {
            #[allow(unused_doc_comments, reason = "the attributes may say for which features a variant is")]
            fn fmt(&self, f: &mut ::core::fmt::Formatter) -> ::core::fmt::Result {
                match self { $(
                    $(#[$doc])*
                    $name::$variant $({ $($field),+ })? $(($inner))? => write!(f, $message $(, $argument)*),
                )* }
            }
        }

        impl ::core::error::Error for $name {
            #[allow(unused_doc_comments, reason = "as above")]
            fn source(&self) -> Option<&(dyn ::core::error::Error + 'static)> {
                match self { $(
                    $(#[$doc])*
                    $name::$variant $({ $($field: _),+ })? $(($inner))? => None$(.or(Some($inner)))?,
                )* }
            }
        }
    };
}
pub(crate) use errors;
