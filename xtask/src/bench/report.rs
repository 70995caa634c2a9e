//! What was found: one JSON value, and the tables that are made from it.

use std::fmt::Write;

use serde_json::{Value, json};

use super::cases::{ONNX, PLAIN, TORCH};
use super::contest::Contest;

/// How many times as fast as PyTorch the recipe must be.
const LEAST_MNIST: f64 = 2.0;
/// The part of PyTorch's peak memory that ours may be.
const MOST_MEMORY: f64 = 0.7;
const WHO: [&str; 3] = [PLAIN, TORCH, ONNX];

/// Speeds. `peak` is the greatest speed that any matrix product or any network of the run reached; shares are of that.
pub(crate) fn json(machine: Value, sgemm: &[Contest], rows: &[Contest]) -> Value {
    let all = sgemm.iter().chain(rows);
    let speeds = all.flat_map(|contest| {
        let speed = |best| contest.gflops(best).filter(|speed| speed.is_finite());
        contest.runners.iter().filter_map(move |runner| {
            let name = format!("{} {} ({})", runner.who, runner.variant, contest.case.what);
            Some((speed(runner.best)?, name))
        })
    });
    let peak = speeds.max_by(|a, b| a.0.total_cmp(&b.0));
    let rows = rows.iter().map(|contest| {
        let mut row = contest.json(&WHO);
        let share = row["gflops"].as_f64().zip(peak.as_ref()).map(|(gflops, peak)| gflops / peak.0);
        row["share_of_peak"] = json!(share);
        row
    });
    json!({
        "machine": machine,
        "peak": peak.as_ref().map(|(gflops, name)| json!({"gflops": gflops, "by": name})),
        "sgemm": sgemm.iter().map(|contest| contest.json(&[])).collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
    })
}

/// The tables.
pub(crate) fn text(found: &Value) -> String {
    let mut out = head(found);
    let rows = list(&found["rows"]);
    if !rows.is_empty() {
        out += &speeds(&rows);
    }
    let memory = list(&found["memory"]);
    if !memory.is_empty() {
        out += &memories(&memory);
    }
    if found["start"].is_object() {
        out += &start(&found["start"]);
    }
    if found["mnist"].is_object() {
        out += &recipe(&found["mnist"]);
    }
    for row in list(&found["folder"]) {
        out += &folder(&row);
    }
    out
}

fn head(found: &Value) -> String {
    let machine = &found["machine"];
    let versions = list(&machine["versions"])
        .iter()
        .map(|pair| format!("{} {}", word(&pair[0]), word(&pair[1])))
        .collect::<Vec<_>>();
    let mut out = format!("{} threads on {}", machine["threads"], word(&machine["processor"]));
    if versions.is_empty() {
        return out + "\n\n";
    }
    let _ = writeln!(out, ", device {}; {}", word(&machine["device"]), versions.join(", "));
    if machine["quick"] == true {
        out += "quick: few and short rounds, without torch.compile; the numbers are for comparing changes\n";
    }
    let speeds: Vec<String> = sgemm_speeds(found).into_iter().map(|(who, speed)| format!("{who} {speed:.0}")).collect();
    let _ = writeln!(out, "SGEMM of 2048, GFLOP/s: {}", speeds.join(", "));
    let _ = writeln!(
        out,
        "peak of the run: {} GFLOP/s by {}\n",
        number(&found["peak"]["gflops"], 0),
        word(&found["peak"]["by"])
    );
    out
}

/// The fastest product of each library, over all times that it was asked.
fn sgemm_speeds(found: &Value) -> Vec<(String, f64)> {
    let mut best: Vec<(String, f64)> = Vec::new();
    for contest in list(&found["sgemm"]) {
        for runner in list(&contest["runners"]) {
            let name = format!("{} {}", word(&runner["who"]), word(&runner["variant"]));
            let (Some(flop), Some(seconds)) = (contest["flop"].as_f64(), runner["best_step_s"].as_f64()) else {
                continue;
            };
            let speed = flop / seconds / 1e9;
            match best.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = known.max(speed),
                None => best.push((name, speed)),
            }
        }
    }
    best
}

fn speeds(rows: &[Value]) -> String {
    let mut out = format!(
        "{:<8}{:<9}{:>5} {:>9} {:>7} {:>8} {:>5} {:>6} | {:>9} {:>6} | {:>9} {:>6} {:>6} {:<20}| {:>9} {:>6} {:>6} | {}\n",
        "what",
        "network",
        "batch",
        "images/s",
        "±",
        "GFLOP/s",
        "peak",
        "epoch",
        "Burn",
        "ratio",
        "PyTorch",
        "ratio",
        "best",
        "by",
        "ONNX RT",
        "ratio",
        "best",
        "must"
    );
    for row in rows {
        let against = |who: &str, key: &str, digits| number(&row["against"][who][key], digits);
        let _ = writeln!(
            out,
            "{:<8}{:<9}{:>5} {:>9} {:>7} {:>8} {:>5} {:>6} | {:>9} {:>6} | {:>9} {:>6} {:>6} {:<20}| {:>9} {:>6} {:>6} | {}",
            word(&row["what"]),
            word(&row["model"]),
            number(&row["batch"], 0),
            number(&row["images_per_s"], 0),
            percent(&row["spread"]),
            number(&row["gflops"], 1),
            percent(&row["share_of_peak"]),
            percent(&row["overhead"]),
            against(PLAIN, "images_per_s", 0),
            against(PLAIN, "ratio", 2),
            against(TORCH, "images_per_s", 0),
            against(TORCH, "ratio", 2),
            against(TORCH, "best_ratio", 2),
            word(&row["against"][TORCH]["variant"]),
            against(ONNX, "images_per_s", 0),
            against(ONNX, "ratio", 2),
            against(ONNX, "best_ratio", 2),
            must(&row["must"]),
        );
    }
    out + "ratio: how many times as fast as their best variant (median of rounds); best: the same of each one's fastest step;\n\
           peak: share of the peak; epoch: what the path around the network adds; batch 1: the median latency\n\n"
}

fn must(must: &Value) -> String {
    let Some(ratio) = must["ratio"].as_f64() else { return String::new() };
    format!("{ratio:.1}x {}: {}", word(&must["who"]), kept(&must["kept"]))
}

fn kept(kept: &Value) -> &'static str {
    kept.as_bool().map_or("?", |kept| if kept { "yes" } else { "NO" })
}

fn memories(rows: &[Value]) -> String {
    let peak = |row: &Value| row["peak_bytes"].as_f64();
    let ours = rows.iter().find(|row| row["variant"] == "ours").and_then(peak);
    let theirs = rows.iter().filter(|row| row["who"] == TORCH).filter_map(peak).reduce(f64::min);
    let mut out = format!(
        "peak memory, train cnn at batch 256\n{:<40}{:>8}{:>14}{:>14}\n",
        "", "MB", "at its start", "ours to this"
    );
    for row in rows {
        let megabytes = |key: &str| row[key].as_f64().map_or_else(String::new, |bytes| format!("{:.0}", bytes / 1e6));
        let ratio = ours
            .zip(row["peak_bytes"].as_f64())
            .map_or_else(String::new, |(ours, other)| format!("{:.2}", ours / other));
        let name = format!("{} {}", word(&row["who"]), word(&row["variant"]));
        let _ = writeln!(out, "{name:<40}{:>8}{:>14}{ratio:>14}", megabytes("peak_bytes"), megabytes("start_bytes"));
    }
    if let Some((ours, theirs)) = ours.zip(theirs) {
        let kept = kept(&json!(ours <= MOST_MEMORY * theirs));
        let _ = writeln!(out, "{:.2} of PyTorch's least; at most {MOST_MEMORY}: {kept}", ours / theirs);
    }
    out + "\n"
}

fn start(found: &Value) -> String {
    let milliseconds =
        |value: &Value| value.as_f64().map_or_else(String::new, |seconds| format!("{:.1} ms", 1e3 * seconds));
    format!(
        "infer predict of one image, from process start to its end: median {}, fastest {}; at most {}: {}\n\n",
        milliseconds(&found["median_s"]),
        milliseconds(&found["best_s"]),
        milliseconds(&found["must"]["seconds"]),
        kept(&found["must"]["kept"]),
    )
}

fn folder(row: &Value) -> String {
    let (network, photos) = (word(&row["network"]), &row["photos"]);
    let mut out =
        format!("{photos} photos to JSON lines through {network} of 224x224, from process start to its end\n");
    for (turns, middle) in list(&row["turns"]).iter().zip(list(&row["medians_s"])) {
        let seconds: Vec<String> = list(&turns["seconds"]).iter().map(|one| number(one, 2)).collect();
        let _ = writeln!(out, "{:<24}{:>8} s ({})", word(&turns["who"]), number(&middle, 2), seconds.join(", "));
    }
    if row["ratio"].is_number() {
        let (least, met) = (number(&row["must"]["ratio"], 1), kept(&row["must"]["kept"]));
        let _ = writeln!(out, "{} times as fast; at least {least}: {met}", number(&row["ratio"], 2));
    }
    out + "\n"
}

fn recipe(found: &Value) -> String {
    let mut out =
        format!("MNIST, one epoch, from process start to its end\n{:<40}{:>8}{:>16}\n", "", "seconds", "test accuracy");
    for row in list(&found["runs"]) {
        let _ = writeln!(
            out,
            "{:<40}{:>8}{:>16}",
            format!("{} {}", word(&row["who"]), word(&row["variant"])),
            number(&row["seconds"], 2),
            number(&row["accuracy"], 4)
        );
    }
    if let Some(ratio) = found["ratio"].as_f64() {
        let _ =
            writeln!(out, "{ratio:.2} times as fast; at least {LEAST_MNIST}: {}", kept(&json!(ratio >= LEAST_MNIST)));
    }
    out
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(String::new, |x| format!("{x:.digits$}"))
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |part| format!("{:.0}%", 100.0 * part))
}

#[cfg(test)]
mod tests {
    use super::super::cases::Case;
    use super::super::contest::Runner;
    use super::*;

    fn contest(what: &'static str, who: &str, variant: &str, seconds: f64, flop: u64) -> Contest {
        let runner = Runner { seconds: vec![Some(seconds)], best: seconds, ..Runner::new(who, variant) };
        let case = Case { what, model: "cnn", batch: 64, least: Some((TORCH, 1.3)) };
        Contest { case, runners: vec![runner], flop: Some(flop) }
    }

    #[test]
    fn the_peak_is_the_fastest_of_the_run_and_shares_are_of_it() {
        let sgemm = [contest("sgemm", TORCH, "onednn", 1.0, 400_000_000_000)];
        let rows = [contest("train", "striate", "ours", 1.0, 100_000_000_000)];
        let found = json(json!({"versions": [["PyTorch", "2"]]}), &sgemm, &rows);
        assert_eq!(found["peak"]["by"], "PyTorch onednn (sgemm)");
        assert_eq!(found["rows"][0]["share_of_peak"], 0.25);
        let text = text(&found);
        assert!(
            text.contains("PyTorch onednn 400") && text.contains("25%") && text.contains("1.3x PyTorch: ?"),
            "{text}"
        );
    }
}
