//! "Did you mean …?"

/// The candidate nearest to `name`, when it is near enough to be meant. Case and `_` for `-` don't count.
pub(super) fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const LONGEST: usize = 100;
    let name = normal(name);
    if name.len() > LONGEST {
        return None;
    }
    let near = candidates.into_iter().map(|candidate| (distance(&name, &normal(candidate)), candidate));
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= candidate.len() / 4).then(|| candidate.to_owned())
}

fn normal(name: &str) -> Vec<char> {
    name.chars().map(|char| if char == '_' { '-' } else { char.to_ascii_lowercase() }).collect()
}

/// How many characters must be inserted, removed or replaced.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, left_char) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, top_char) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(left_char != top_char);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["listen", "data-dir", "database-url"];
        assert_eq!(suggest("data_dir", names).as_deref(), Some("data-dir"));
        assert_eq!(suggest("Lisen", names).as_deref(), Some("listen"));
        assert_eq!(suggest("databas-urll", names).as_deref(), Some("database-url"));
        assert_eq!(suggest("retention", names), None);
        assert_eq!(suggest("", names), None);
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (from, to, expected) in [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2)] {
            assert_eq!(distance(&normal(from), &normal(to)), expected, "{from} {to}");
        }
    }
}
