//! The `filter` of lists, as the official SDK documents it: a JSON tree of `AND` and `OR` with conditions on columns.

use serde_json::Value;

use super::AppError;

const OPERATORS: &str = "`EQUAL`, `NOT_EQUAL`, `IN`, `NOT_IN`, `STRING_CONTAINS`, `STRING_NOT_CONTAINS`, \
                         `STRING_STARTS_WITH`, `STRING_NOT_STARTS_WITH`, `STRING_ENDS_WITH` and `STRING_NOT_ENDS_WITH`";

/// What a list is narrowed to.
pub(crate) enum ColumnFilter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Is { column: String, test: Test, values: Vec<String>, wanted: bool },
}

/// How a column's text is compared; letters compare without case.
#[derive(Clone, Copy)]
pub(crate) enum Test {
    Equal,
    Contains,
    StartsWith,
    EndsWith,
}

impl ColumnFilter {
    /// Reads a filter on some columns. What isn't understood is refused: to ignore it would show what wasn't asked for.
    pub(crate) fn parse(text: &str, columns: &[&str]) -> Result<Self, AppError> {
        let refused = |message: String| AppError::invalid("query.filter", message);
        let tree: Value = serde_json::from_str(text).map_err(|_| refused("must be JSON".into()))?;
        Self::read(&tree, columns).map_err(refused)
    }

    fn read(node: &Value, columns: &[&str]) -> Result<Self, String> {
        if let Some(kind) = node["type"].as_str() {
            let children = node["children"].as_array().ok_or("`AND` and `OR` have a list `children`")?;
            let children = children.iter().map(|child| Self::read(child, columns)).collect::<Result<_, _>>()?;
            return match kind {
                "AND" => Ok(Self::All(children)),
                "OR" => Ok(Self::Any(children)),
                _ => Err("the `type` of a node must be `AND` or `OR`".into()),
            };
        }
        let column = node["column"].as_str().filter(|column| columns.contains(column));
        let column = column.ok_or_else(|| format!("a condition has a `column`, one of `{}`", columns.join("`, `")))?;
        let operator = node["op"].as_str().unwrap_or_default();
        let (wanted, positive) = match operator {
            "NOT_EQUAL" => (false, "EQUAL"),
            "NOT_IN" => (false, "IN"),
            _ => match operator.strip_prefix("STRING_NOT_") {
                Some(test) => (false, test),
                None => (true, operator.strip_prefix("STRING_").unwrap_or(operator)),
            },
        };
        let test = match positive {
            "EQUAL" | "IN" => Test::Equal,
            "CONTAINS" => Test::Contains,
            "STARTS_WITH" => Test::StartsWith,
            "ENDS_WITH" => Test::EndsWith,
            _ => return Err(format!("a condition has an `op`, one of {OPERATORS}")),
        };
        let texts = match (&node["value"], positive) {
            (Value::Array(values), "IN") => values.iter().map(Value::as_str).collect(),
            (Value::String(value), positive) if positive != "IN" => Some(vec![value.as_str()]),
            _ => None,
        };
        let texts =
            texts.ok_or("the `value` of a condition must be a string, that of `IN` and `NOT_IN` a list of them")?;
        let values = texts.into_iter().map(str::to_lowercase).collect();
        Ok(Self::Is { column: column.to_owned(), test, values, wanted })
    }

    /// Whether something is shown that has these texts in its columns.
    pub(crate) fn takes(&self, text_of: &impl Fn(&str) -> String) -> bool {
        match self {
            Self::All(children) => children.iter().all(|child| child.takes(text_of)),
            Self::Any(children) => children.iter().any(|child| child.takes(text_of)),
            Self::Is { column, test, values, wanted } => {
                let text = text_of(column).to_lowercase();
                *wanted == values.iter().any(|value| test.holds(&text, value))
            }
        }
    }
}

impl Test {
    fn holds(self, text: &str, value: &str) -> bool {
        match self {
            Self::Equal => text == value,
            Self::Contains => text.contains(value),
            Self::StartsWith => text.starts_with(value),
            Self::EndsWith => text.ends_with(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[&str] = &["email", "userId"];

    fn taken(filter: &Value) -> Vec<&'static str> {
        let filter = ColumnFilter::parse(&filter.to_string(), COLUMNS).unwrap();
        let people = [("u1", "anna@x.io"), ("u2", "bob@x.io"), ("u3", "anna@y.io")];
        let takes =
            |id: &str, email: &str| filter.takes(&|column| if column == "email" { email } else { id }.to_owned());
        people.into_iter().filter(|(id, email)| takes(id, email)).map(|(id, _)| id).collect()
    }

    #[test]
    fn conditions_and_groups_hold() {
        let on = |op: &str, value: Value| json!({"column": "email", "op": op, "value": value});
        for (op, value, expected) in [
            ("EQUAL", json!("Anna@X.io"), &["u1"][..]),
            ("NOT_EQUAL", json!("anna@x.io"), &["u2", "u3"]),
            ("IN", json!(["bob@x.io", "anna@y.io"]), &["u2", "u3"]),
            ("NOT_IN", json!(["bob@x.io", "anna@y.io"]), &["u1"]),
            ("STRING_CONTAINS", json!("@X"), &["u1", "u2"]),
            ("STRING_NOT_CONTAINS", json!("@x"), &["u3"]),
            ("STRING_STARTS_WITH", json!("anna"), &["u1", "u3"]),
            ("STRING_NOT_STARTS_WITH", json!("anna"), &["u2"]),
            ("STRING_ENDS_WITH", json!("y.io"), &["u3"]),
            ("STRING_NOT_ENDS_WITH", json!("y.io"), &["u1", "u2"]),
        ] {
            assert_eq!(taken(&on(op, value)), expected, "{op}");
        }
        let (anna, at_x) = (on("STRING_STARTS_WITH", json!("anna")), on("STRING_CONTAINS", json!("@x")));
        let by_id = json!({"column": "userId", "op": "EQUAL", "value": "u2"});
        assert_eq!(taken(&json!({"type": "AND", "children": [anna, at_x]})), ["u1"]);
        let both = json!({"type": "AND", "children": [anna, at_x]});
        assert_eq!(taken(&json!({"type": "OR", "children": [both, by_id]})), ["u1", "u2"]);
        assert_eq!(taken(&json!({"type": "AND", "children": []})), ["u1", "u2", "u3"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for filter in [
            json!({}),
            json!([]),
            json!({"type": "NOT", "children": []}),
            json!({"type": "AND"}),
            json!({"column": "name", "op": "EQUAL", "value": "x"}),
            json!({"column": "email", "op": "LIKE", "value": "x"}),
            json!({"column": "email", "op": "STRING_EQUAL_OR_SO", "value": "x"}),
            json!({"column": "email", "op": "EQUAL", "value": 7}),
            json!({"column": "email", "op": "EQUAL", "value": ["x"]}),
            json!({"column": "email", "op": "IN", "value": "x"}),
            json!({"type": "AND", "children": [{"column": "email"}]}),
        ] {
            assert!(ColumnFilter::parse(&filter.to_string(), COLUMNS).is_err(), "{filter}");
        }
        assert!(ColumnFilter::parse("{", COLUMNS).is_err());
    }
}
