//! `remaster config`: a page with every setting, generated from the definitions of the arguments. `docs/configuration.md` is
//! its output.

use std::fmt::Write as _;

use clap::CommandFactory;

use crate::args::Cli;
use crate::secrets::SECRETS;

const INTRODUCTION: &str = "\
# Configuration

Every setting is an environment variable and a flag of the same name: `FREE_DAILY_LIMIT=100` is the same as
`--free-daily-limit 100`. A file `.env` in the working folder is read as well, except by `enhance` and `submit`. A flag takes precedence over the environment,
and the environment over `.env`. Secrets may lie in files: `REDIS_URL_FILE=/run/secrets/redis` is read for `REDIS_URL`, and so are
SECRETS. A bad value prevents the start, with one line that names the setting, its value and what it
accepts.

This page is the output of `remaster config`.
";

/// The page, in Markdown.
pub fn page() -> String {
    let secrets: Vec<_> = SECRETS[1..].iter().map(|name| format!("`{name}_FILE`")).collect();
    let mut page = INTRODUCTION.replace("SECRETS", &secrets.join(", "));
    let cli = Cli::command();
    let Some(serve) = cli.find_subcommand("serve") else { return page };
    let mut heading = None;
    for argument in serve.get_arguments() {
        let Some(variable) = argument.get_env() else { continue };
        if argument.get_help_heading() != heading {
            heading = argument.get_help_heading();
            let title = heading.unwrap_or("Other");
            let _ = write!(page, "\n## {title}\n\n| variable | default | description |\n|---|---|---|\n");
        }
        let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = if default.iter().all(|value| value.is_empty()) {
            String::new()
        } else {
            format!("`{}`", default.join(" "))
        };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| `{}` | {default} | {help} |", variable.to_string_lossy());
    }
    page
}
