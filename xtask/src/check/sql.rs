//! SQL is written in `strongroom-metadata` and nowhere else.

use crate::sources::Source;

const HOME: &str = "crates/strongroom-metadata";

/// Those for tests: they alter databases behind the server's back, and ask how the database server is.
const FOR_TESTS: [&str; 2] = ["crates/strongroom-testkit", "crates/strongroom-throwaway"];

/// Every text literal that looks like SQL, in code that isn't tests.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let is_home =
        |source: &&Source| source.path.starts_with(HOME) || FOR_TESTS.iter().any(|&of| source.path.starts_with(of));
    let elsewhere = sources.iter().filter(|source| !is_home(source) && !source.is_test());
    let find = |source: &Source| {
        let found: Vec<String> = literals(source.production())
            .filter(|(_, literal)| is_sql(literal))
            .map(|(line, _)| format!("{}, line {line}: SQL belongs in {HOME}", source.path.display()))
            .collect();
        found
    };
    elsewhere.flat_map(find).collect()
}

/// A statement's keywords in their order: in capitals anywhere, in small letters where the text begins with them. Prose
/// that begins with such a word has a capital there.
fn is_sql(literal: &str) -> bool {
    const CAPITALS: [(&str, &str); 4] =
        [("SELECT ", ""), ("INSERT INTO ", ""), ("UPDATE ", " SET "), ("DELETE FROM ", "")];
    const SMALL: [(&str, &str); 4] =
        [("select ", " from "), ("insert into ", ""), ("update ", " set "), ("delete from ", "")];
    let spaced = literal.split_whitespace().collect::<Vec<_>>().join(" ");
    let anywhere =
        CAPITALS.iter().any(|(first, second)| spaced.split_once(first).is_some_and(|(_, rest)| rest.contains(second)));
    let begins =
        SMALL.iter().any(|(first, second)| spaced.strip_prefix(first).is_some_and(|rest| rest.contains(second)));
    anywhere || begins
}

/// The text literals of Rust code, raw ones too, with the lines on which they begin.
fn literals(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < code.len() {
            let rest = &code[at..];
            let (skip, literal) = token(rest);
            let begin = at;
            at += skip;
            if let Some(literal) = literal {
                return Some((code[..begin].matches('\n').count() + 1, literal));
            }
        }
        None
    })
}

/// The length of what `rest` begins with, and its content if that is a text literal.
fn token(rest: &str) -> (usize, Option<&str>) {
    let one = || rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), None);
    }
    if let Some(hashed) = rest.strip_prefix('r') {
        let hashes = hashed.len() - hashed.trim_start_matches('#').len();
        if let Some(content) = hashed[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let length = content.find(&end).unwrap_or(content.len());
            return ((2 + hashes + length + end.len()).min(rest.len()), Some(&content[..length]));
        }
    }
    if let Some(content) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = content.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let length = end.unwrap_or(content.len());
        return ((length + 2).min(rest.len()), Some(&content[..length]));
    }
    // A quote as a character would open a text that isn't one.
    for quote in ["'\"'", "'\\\"'"] {
        if rest.starts_with(quote) {
            return (quote.len(), None);
        }
    }
    (one(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&[Source { path: path.into(), text: text.to_owned() }]).len()
    }

    #[test]
    fn sql_is_found_in_every_kind_of_literal() {
        let path = "crates/strongroom-server/src/app.rs";
        for sql in [
            r#"let a = "SELECT id FROM groups";"#,
            r#"let a = "select id from groups";"#,
            "let a = r#\"\n  SELECT \"id\"\n  FROM groups\"#;",
            r#"let a = '"'; let b = "INSERT INTO groups (id) VALUES (?1)";"#,
            r#"let a = "\"quoted\" UPDATE groups SET name = ?1";"#,
            r#"let a = b"DELETE FROM groups";"#,
            r#"let a = "an inch is 1\" SELECT id FROM groups";"#,
            "let a = \"UPDATE groups \\\n   SET name = ?1\";",
            r#"// it's
            let a = "WITH x AS (SELECT id FROM groups) ...";"#,
        ] {
            assert_eq!(found(path, sql), 1, "{sql}");
        }
        let line = check(&[Source { path: path.into(), text: "\n\nf(\"DELETE FROM a\")".to_owned() }]);
        assert_eq!(line, ["crates/strongroom-server/src/app.rs, line 3: SQL belongs in crates/strongroom-metadata"]);
    }

    #[test]
    fn prose_comments_tests_and_metadata_are_free() {
        let path = "crates/strongroom-server/src/app.rs";
        for text in [
            r#"let a = "Please select a group";"#,
            r#"let a = "Select a group from the list";"#,
            r#"let a = "Delete from the store too";"#,
            r#"let a = "an update was set aside";"#,
            r#"// "SELECT id FROM groups""#,
            r#"/* "SELECT id FROM groups" */"#,
            "#[cfg(test)]\nmod tests {\n  f(\"SELECT id FROM groups\");\n}",
        ] {
            assert_eq!(found(path, text), 0, "{text}");
        }
        assert_eq!(found("crates/strongroom-metadata/src/groups.rs", "f(\"SELECT id FROM groups\")"), 0);
        assert_eq!(found("crates/strongroom-server/tests/a.rs", "f(\"SELECT id FROM groups\")"), 0);
    }
}
