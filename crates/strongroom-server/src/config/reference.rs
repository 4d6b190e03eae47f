//! What people read of the table: the command's help and the reference page.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::{
    sources::{CONFIG_FLAG, DEFAULTS, Key},
    table::{Kind, ROWS, Row},
};

/// `serve` with a flag for each setting.
#[must_use]
pub fn serve_command() -> Command {
    let config = Arg::new(CONFIG_FLAG).long(CONFIG_FLAG).value_name("PATH").help("TOML file with settings.");
    Command::new("serve").about("Run the server").arg(config).args(Key::all().map(argument))
}

/// All settings as a page in Markdown.
#[must_use]
pub fn settings_reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         A flag beats an environment variable, that beats the TOML file named by `--config`, and that beats the \
         default. The flag is `--` and the setting's name, the key in TOML is the name. An empty environment variable \
         counts as not set. Unknown settings stop the start.\n\n\
         A secret setting (marked *secret*) can be given as a file instead: put `-file` behind the name or `_FILE` \
         behind the variable. Line ends at the end of the file don't count. Giving both is an error.\n\n\
         | Setting | Environment variable | Value | Default | Meaning |\n\
         |---|---|---|---|---|\n",
    );
    for row in ROWS {
        let secret = if row.secret_file.is_some() { " *secret*" } else { "" };
        let default = default_of(row.name).map_or_else(|| "–".to_owned(), |default| format!("`{default}`"));
        // Writing to a `String` can't fail.
        let _ = writeln!(
            page,
            "| `{}`{secret} | `{}` | {} | {default} | {} |",
            row.name,
            row.env,
            value_of(row.kind),
            row.doc
        );
    }
    page
}

fn argument(key: Key) -> Arg {
    let Row { env, kind, doc, secret_file, .. } = key.row;
    let arg = Arg::new(key.name).long(key.name);
    if key.is_file {
        let help = format!("File with the value of --{}. [env: {}]", key.row.name, key.env);
        return arg.value_name("PATH").help(help);
    }
    let warning =
        if secret_file.is_some() { " Other users of the machine can see flags: prefer the file." } else { "" };
    let default = default_of(key.row.name).map_or_else(String::new, |default| format!(" [default: {default}]"));
    let choices = match kind {
        Kind::Choice(choices) => format!(" [one of: {}]", choices.join(", ")),
        _ => String::new(),
    };
    let help = format!("{doc}{warning}{choices} [env: {env}]{default}");
    let arg = arg.value_name(placeholder(*kind)).help(help);
    if *kind == Kind::Bool { arg.num_args(0..=1).default_missing_value("true") } else { arg }
}

/// The default as a person would type it; `None` where there is no fixed one.
fn default_of(name: &str) -> Option<&'static str> {
    let value = |line: &'static str| line.strip_prefix(name)?.strip_prefix(" = ");
    DEFAULTS.lines().find_map(value).map(|value| value.trim_matches('"'))
}

fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Address => "ADDRESS:PORT",
        Kind::Text => "TEXT",
        Kind::Path => "PATH",
        Kind::Url => "URL",
        Kind::Networks => "NETWORKS",
        Kind::Bool => "BOOL",
        Kind::Seconds => "SECONDS",
        Kind::Count => "NUMBER",
        Kind::Bytes => "BYTES",
        Kind::Days => "DAYS",
        Kind::Choice(_) => "CHOICE",
    }
}

fn value_of(kind: Kind) -> String {
    match kind {
        Kind::Address => "address and port".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Networks => "addresses or networks".to_owned(),
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Seconds => "seconds".to_owned(),
        Kind::Count => "number".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Days => "days".to_owned(),
        Kind::Choice(choices) => choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", "),
    }
}
