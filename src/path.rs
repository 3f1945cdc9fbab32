//! The name of a leaf: its path in a tree of parameters.

use core::fmt;

/// A place in a tree of parameters. It prints as PyTorch names it: `0.weight`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a>(Option<(&'a Path<'a>, Key)>);

#[derive(Clone, Copy, Debug)]
enum Key {
    Field(&'static str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The whole tree. It prints as an empty string.
    pub const ROOT: Path<'static> = Path(None);

    /// The field `name` of the tree at this path.
    #[inline(always)]
    pub const fn field(&'a self, name: &'static str) -> Path<'a> {
        Path(Some((self, Key::Field(name))))
    }

    /// The element `index` of the array or tuple at this path.
    #[inline(always)]
    pub const fn index(&'a self, index: usize) -> Path<'a> {
        Path(Some((self, Key::Index(index))))
    }

    /// The last part of the path, if it is a field: `weight` of `0.weight`.
    ///
    /// ```
    /// use chainrule::Path;
    /// assert_eq!(Path::ROOT.index(0).field("bias").name(), Some("bias"));
    /// ```
    #[inline]
    pub const fn name(&self) -> Option<&'static str> {
        match self.0 {
            Some((_, Key::Field(name))) => Some(name),
            _ => None,
        }
    }

    /// Whether this is the path `part`, or a path within it.
    ///
    /// ```
    /// use chainrule::Path;
    /// let encoder = Path::ROOT.field("encoder");
    /// let layer = encoder.index(1);
    /// let path = layer.field("bias");
    /// assert!(path.starts_with("encoder") && path.starts_with("encoder.1"));
    /// assert!(!path.starts_with("enc") && !path.starts_with("encoder.10"));
    /// ```
    pub fn starts_with(&self, part: &str) -> bool {
        *self == *part || self.0.is_some_and(|(parent, _)| parent.starts_with(part))
    }

    /// Removes the printed path from the front of `text`, with the dot that follows it.
    fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        let Some((parent, key)) = self.0 else {
            return Some(text);
        };
        let text = parent.strip(text)?;
        let rest = match key {
            Key::Field(name) => text.strip_prefix(name)?,
            Key::Index(index) => {
                let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                let (number, rest) = text.split_at_checked(digits)?;
                // "01" is not an index.
                let canonical = number.len() == 1 || !number.starts_with('0');
                (canonical && number.parse() == Ok(index)).then_some(rest)?
            }
        };
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
    }
}

/// Compares a path with the text that it prints, without allocating.
///
/// ```
/// use chainrule::Path;
/// assert_eq!(Path::ROOT.index(10).field("bias"), *"10.bias");
/// assert_ne!(Path::ROOT.index(1).field("bias"), *"10.bias");
/// ```
impl PartialEq<str> for Path<'_> {
    fn eq(&self, text: &str) -> bool {
        self.strip(text) == Some("") && !text.ends_with('.')
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Some((parent, key)) = self.0 else {
            return Ok(());
        };
        if parent.0.is_some() {
            write!(f, "{parent}.")?;
        }
        match key {
            Key::Field(name) => f.write_str(name),
            Key::Index(index) => write!(f, "{index}"),
        }
    }
}
