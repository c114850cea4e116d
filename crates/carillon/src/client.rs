//! `carillon campaign`: the API from a shell.

use anyhow::Context as _;
use campaign::outcome::TABLE;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::cli::{self, CampaignCommand};

pub async fn run(options: cli::Campaign) -> anyhow::Result<()> {
    let at = |id: &str, action: &str| format!("/campaigns/{id}{action}");
    let dry = |dry_run: bool| if dry_run { "?dry_run=true" } else { "" };
    let (method, path, body) = match &options.command {
        CampaignCommand::List { status } => {
            let query = status.as_ref().map(|s| format!("&status={s}")).unwrap_or_default();
            (Method::GET, format!("/campaigns?limit=500{query}"), None)
        }
        CampaignCommand::Show { id } => (Method::GET, at(id, ""), None),
        CampaignCommand::Schedule { id, dry_run } => {
            (Method::POST, at(id, &format!("/schedule{}", dry(*dry_run))), None)
        }
        CampaignCommand::Stop { id } => (Method::POST, at(id, "/stop"), None),
        CampaignCommand::Restart { id, dry_run, failed } => {
            let include = if *failed { json!(["cancelled", "failed"]) } else { json!(["cancelled"]) };
            (Method::POST, at(id, &format!("/restart{}", dry(*dry_run))), Some(json!({"include": include})))
        }
        CampaignCommand::Archive { id } => (Method::POST, at(id, "/archive"), None),
        CampaignCommand::Clone { id, name } => {
            let body = name.as_ref().map(|name| json!({"name": name}));
            (Method::POST, at(id, "/clone"), body)
        }
        CampaignCommand::Release { id } => (Method::POST, at(id, "/release"), None),
    };
    let answer = ask(&options, method, &path, body).await?;
    if options.json {
        println!("{answer}");
    } else if let Some(campaigns) = answer["items"].as_array() {
        println!("{:<8} {:<10} {:>9} {:>9}  NAME", "ID", "STATUS", "AUDIENCE", "SETTLED");
        for c in campaigns {
            line(c);
        }
    } else if answer.get("status").is_some() {
        show(&answer);
    } else {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    }
    Ok(())
}

async fn ask(
    options: &cli::Campaign,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<Value> {
    anyhow::ensure!(!options.token.is_empty(), "give a token with --token or CARILLON_TOKEN");
    let url = format!("{}/api/v1{path}", options.server.trim_end_matches('/'));
    let request = Client::new().request(method, &url).bearer_auth(&options.token);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let response = request.send().await.with_context(|| format!("no answer from {}", options.server))?;
    let status = response.status();
    let text = response.text().await?;
    let answer: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} answered {status} and no JSON", options.server))?;
    if status.is_success() {
        return Ok(answer);
    }
    let actions = answer["available_actions"].as_array().map(|actions| {
        let words: Vec<&str> = actions.iter().filter_map(Value::as_str).collect();
        format!(" (possible now: {})", words.join(", "))
    });
    anyhow::bail!("{}{}", answer["detail"].as_str().unwrap_or(&text), actions.unwrap_or_default())
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// (settled, all) deliveries.
fn progress(c: &Value) -> (i64, i64) {
    let Some(totals) = c["totals"].as_object() else { return (0, 0) };
    let all = totals.values().filter_map(Value::as_i64).sum();
    let settled = TABLE.iter().filter(|row| row.place.is_settled());
    (settled.filter_map(|row| totals.get(row.word)?.as_i64()).sum(), all)
}

fn line(c: &Value) {
    let (settled, all) = progress(c);
    println!(
        "{:<8} {:<10} {:>9} {:>9}  {}",
        text(c, "id"),
        text(c, "status"),
        c["audience"],
        format!("{} %", if all == 0 { 0 } else { settled * 100 / all }),
        text(c, "name")
    );
}

fn show(c: &Value) {
    println!("{}  {}", text(c, "id"), text(c, "name"));
    println!("status    {}", text(c, "status"));
    println!("audience  {}", c["audience"]);
    for (outcome, count) in c["totals"].as_object().into_iter().flatten() {
        if count != 0 {
            println!("{outcome:<9} {count}");
        }
    }
    for w in c["waiting"].as_array().into_iter().flatten() {
        let until = w["until"].as_str().map(|at| format!(" until {at}")).unwrap_or_default();
        let detail = w["detail"].as_str().map(|words| format!(": {words}")).unwrap_or_default();
        println!("waiting   {}{detail}{until}", text(w, "reason"));
    }
    let actions: Vec<&str> =
        c["available_actions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    println!("possible  {}", actions.join(", "));
}
