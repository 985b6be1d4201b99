//! What the server is like: whether it may lose data, and whether its replicas have what was written.

use std::collections::HashMap;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::CustomCommand;
use remaster_store::StoreError;

/// How long replicas may take to confirm a write.
pub const CONFIRMED: Duration = Duration::from_secs(1);

/// What an operator should change about the server, in sentences.
pub async fn warnings(client: &Client) -> Vec<String> {
    match (info(client, "memory").await, info(client, "persistence").await) {
        (Ok(memory), Ok(persistence)) => advice(&memory, &persistence),
        (Err(error), _) | (_, Err(error)) => {
            vec![format!("the settings of Redis cannot be checked, because INFO is refused ({error})")]
        }
    }
}

type Info = HashMap<String, String>;

async fn info(client: &Client, section: &str) -> Result<Info, fred::error::Error> {
    let text: String = client.custom(CustomCommand::new_static("INFO", "{rm}", false), vec![section]).await?;
    let fields = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn advice(memory: &Info, persistence: &Info) -> Vec<String> {
    let mut advice = Vec::new();
    match memory.get("maxmemory_policy").map(String::as_str) {
        Some("noeviction") | None => {}
        Some(policy) => advice.push(format!(
            "Redis has the maxmemory-policy {policy}, by which it may delete jobs when its memory is full; set it to noeviction"
        )),
    }
    if persistence.get("aof_enabled").is_some_and(|enabled| enabled == "0") {
        advice.push(
            "Redis keeps no append-only file, so a crash loses the jobs since its last snapshot; set appendonly to yes"
                .to_owned(),
        );
    }
    if persistence.get("rdb_last_bgsave_status").is_some_and(|status| status == "err") {
        advice.push("Redis could not write its last snapshot, and may refuse every write until it can".to_owned());
    }
    advice
}

/// Waits until so many replicas of the server that holds `tag` have everything that this connection wrote there.
///
/// # Errors
/// Fewer confirmed it in time, or the server does not answer.
pub async fn confirmed_by(client: &Client, tag: &str, replicas: u32) -> Result<(), StoreError> {
    let wait = CustomCommand::new_static("WAIT", tag, false);
    let args = vec![replicas.to_string(), CONFIRMED.as_millis().to_string()];
    let confirmed: u32 = client.custom(wait, args).await.map_err(StoreError::caused_by)?;
    if confirmed >= replicas {
        return Ok(());
    }
    Err(StoreError::new(format!("{confirmed} of {replicas} replicas of Redis confirmed a write")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(fields: &[(&str, &str)]) -> Info {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_may_lose_jobs_is_named() {
        let safe = info(&[("maxmemory_policy", "noeviction"), ("aof_enabled", "1"), ("rdb_last_bgsave_status", "ok")]);
        assert_eq!(advice(&safe, &safe), [""; 0]);
        let risky =
            info(&[("maxmemory_policy", "volatile-lru"), ("aof_enabled", "0"), ("rdb_last_bgsave_status", "err")]);
        let said = advice(&risky, &risky);
        assert!(
            said[0].contains("noeviction") && said[1].contains("appendonly") && said[2].contains("snapshot"),
            "{said:?}"
        );
    }
}
