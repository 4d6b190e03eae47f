//! The little XML that STS answers with.

use zeroize::Zeroizing;

/// Deeper than any answer.
const DEEPEST: usize = 16;

/// The texts of all elements that hold nothing but text, by their paths like `AssumeRoleResponse/AssumeRoleResult/Arn`.
/// Attributes are passed over. `None` for what isn't well-formed, and for what these answers never have: comments,
/// document types, character data, entities other than the five.
pub(super) fn texts(xml: &str) -> Option<Vec<(String, Zeroizing<String>)>> {
    let mut rest = xml.trim_start();
    if let Some(prolog) = rest.strip_prefix("<?xml ") {
        rest = prolog.split_once("?>")?.1;
    }
    let (mut found, mut open, mut is_leaf) = (Vec::new(), Vec::<&str>::new(), false);
    loop {
        let (text, tag_and_rest) = rest.split_once('<')?;
        let (tag, after) = tag_and_rest.split_once('>')?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if open.last() != Some(&name.trim_end()) {
                return None;
            }
            if is_leaf {
                found.push((open.join("/"), unescape(text)?));
            } else if !is_blank(text) {
                return None;
            }
            is_leaf = false;
            open.pop();
        } else {
            if !is_blank(text) {
                return None;
            }
            let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let name = tag.split(is_space).next()?;
            if !is_name(name) || open.len() == DEEPEST {
                return None;
            }
            if is_empty {
                is_leaf = false;
            } else {
                open.push(name);
                is_leaf = true;
            }
        }
        if open.is_empty() {
            return is_blank(rest).then_some(found);
        }
    }
}

/// The text of the one element with this path; `None` when there is none, or more than one.
pub(super) fn only<'a>(texts: &'a [(String, Zeroizing<String>)], path: &str) -> Option<&'a str> {
    let mut found = texts.iter().filter(|(at, _)| at == path).map(|(_, text)| text.as_str());
    found.next().filter(|_| found.next().is_none())
}

fn unescape(text: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((plain, entity)) = rest.split_once('&') {
        out.push_str(plain);
        let (name, after) = entity.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

fn is_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(xml: &str) -> Option<Vec<(String, String)>> {
        Some(texts(xml)?.into_iter().map(|(path, text)| (path, text.to_string())).collect())
    }

    #[test]
    fn leaves_are_found_by_their_paths() {
        let xml =
            "<?xml version=\"1.0\"?>\n<A xmlns=\"https://x/\">\n <B><C>1 &lt;&amp;&gt;</C><D/></B>\n <C></C></A>\n";
        let expected = [("A/B/C", "1 <&>"), ("A/C", "")].map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert_eq!(flat(xml), Some(expected.to_vec()));
    }

    #[test]
    fn anything_odd_is_refused() {
        for xml in [
            "",
            "text",
            "<A>",
            "<A></B>",
            "<A><B></A></B>",
            "<A>text<B></B></A>",
            "<A></A><B></B>",
            "<A></A>text",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><A>&e;</A>",
            "<A>&e;</A>",
            "<A>&#65;</A>",
            "<A><!-- c --></A>",
            "<A><![CDATA[x]]></A>",
            "<A",
            "</A>",
        ] {
            assert_eq!(flat(xml), None, "{xml}");
        }
        assert_eq!(flat(&"<A>".repeat(100_000)), None);
    }

    #[test]
    fn what_is_there_twice_is_not_the_only_one() {
        let found = texts("<A><B>1</B><B>2</B><C>3</C></A>").unwrap();
        assert_eq!((only(&found, "A/B"), only(&found, "A/C"), only(&found, "A/D")), (None, Some("3"), None));
    }
}

#[cfg(test)]
mod property_tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(xml in "(<|>|/|&|;|A|B| |\\?|!|=|\"|lt|ß){0,60}") {
            let _ = super::texts(&xml);
        }
    }
}
