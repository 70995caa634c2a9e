//! The benchmark: this project, the same networks in plain Burn, PyTorch and ONNX Runtime, in turns and in one run. This file owns the
//! command line. Links none of our crates: what is measured are processes that it starts and asks (`server`), in an order that `measure`
//! owns, on the cases of `cases`. A benchmark and never a test: nothing fails by time.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

mod cases;
mod command;
mod contest;
mod folder;
mod measure;
mod recipe;
mod report;
mod server;
mod startup;

use cases::{Case, Filter};
use measure::Clock;
use server::Server;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    json: bool,
    quick: bool,
    only: Vec<Filter>,
    peers: Option<String>,
    mnist: Option<String>,
    photos: Option<String>,
    threads: usize,
    /// As after `--device`; the cases and MNIST are computed there. What starts and folders take is measured on the CPU alone.
    device: Option<String>,
    /// What our examples are built with.
    features: Option<String>,
}

/// Measures and prints: a table on stdout, or JSON there and the table on stderr. Progress goes to stderr.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let options = Options::parse(options)?;
    let clock = if options.quick { measure::QUICK } else { measure::FULL };
    let wants = |part| cases::wants(part, &options.only);
    let wanted: Vec<Case> = cases::all().into_iter().filter(|case| cases::wanted(case, &options.only)).collect();
    let mut found = match !wanted.is_empty() || wants("sgemm") {
        true => speeds(&options, clock, &wanted)?,
        false => report::json(machine(&options, &[]), &[], &[]),
    };
    if wants("memory") {
        found["memory"] = measure::memory(&command::all(&["train"], &options)?, clock)?;
    }
    let on_cpu = command::is_cpu(options.device());
    if wants("start") && on_cpu {
        found["start"] = startup::measure(options.threads)?;
    }
    if let Some(folder) = options.mnist.as_deref().filter(|_| wants("mnist")) {
        found["mnist"] = recipe::measure(folder, &options)?;
    }
    if let Some(photos) = options.photos.as_deref().filter(|_| wants("folder") && on_cpu) {
        found["folder"] = folder::measure(photos, options.peers.as_deref(), options.threads)?;
    }
    if options.json {
        eprint!("{}", report::text(&found));
        println!("{found}");
    } else {
        print!("{}", report::text(&found));
    }
    Ok(())
}

/// The cases, with the machine's matrix products before and after them.
fn speeds(options: &Options, clock: Clock, wanted: &[Case]) -> Result<Value> {
    let needed: Vec<&str> = wanted.iter().map(|case| case.what).chain(["sgemm"]).collect();
    let commands = command::all(&needed, options)?;
    let mut servers = commands.iter().map(|command| Server::start(command.command())).collect::<Result<Vec<_>>>()?;
    let machine = machine(options, &servers);
    let mut sgemm = vec![clock.sgemm(&mut servers)?];
    let rows = wanted.iter().map(|case| clock.measure(case, &mut servers)).collect::<Result<Vec<_>>>()?;
    sgemm.push(clock.sgemm(&mut servers)?);
    Ok(report::json(machine, &sgemm, &rows))
}

fn machine(options: &Options, servers: &[Server]) -> Value {
    let mut versions: Vec<_> = servers.iter().map(|server| json!([server.name(), server.hello["version"]])).collect();
    versions.dedup();
    json!({
        "threads": options.threads,
        "processor": processor(),
        "device": servers.iter().find_map(|server| server.hello["device"].as_str()),
        "versions": versions,
        "quick": options.quick,
    })
}

impl Options {
    fn device(&self) -> &str {
        self.device.as_deref().unwrap_or("cpu")
    }

    /// For cargo.
    fn features(&self) -> impl Iterator<Item = &str> {
        self.features.iter().flat_map(|list| ["--features", list])
    }

    fn parse(words: &[&str]) -> Result<Self> {
        let mut options =
            Self { threads: std::thread::available_parallelism().map_or(1, usize::from), ..Self::default() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = |what: &str| words.next().with_context(|| format!("bench: {word} needs {what}"));
            match *word {
                "--json" => options.json = true,
                "--format" => match *value("`json` or `text`")? {
                    "json" => options.json = true,
                    "text" => options.json = false,
                    other => bail!("bench: unknown format {other}; expected json or text"),
                },
                "--quick" => options.quick = true,
                "--only" => options.only = Filter::list(value("WHAT[:MODEL[:BATCH]], such as train:cnn")?)?,
                "--peers" => options.peers = Some(value("a Python with xtask/peers/requirements.txt")?.to_string()),
                "--mnist" => options.mnist = Some(value("the folder of MNIST's four files")?.to_string()),
                "--photos" => options.photos = Some(value("a folder of photos, a folder for each class")?.to_string()),
                "--threads" => {
                    let threads = value("a number")?;
                    options.threads =
                        threads.parse().with_context(|| format!("bench: --threads {threads} is no number"))?;
                }
                "--device" => match *value("a name, such as wgpu or cuda:0")? {
                    "auto" => bail!("bench: --device auto may be any; name one, such as wgpu or cuda:0"),
                    name => options.device = Some(name.to_owned()),
                },
                "--features" => options.features = Some(value("Cargo features, such as wgpu,cuda")?.to_string()),
                unknown => bail!(
                    "bench: unknown option {unknown}; expected --peers PYTHON, --only CASES, --quick, --json, --mnist DIR, --photos DIR, --threads N, \
                     --device NAME or --features LIST"
                ),
            }
        }
        Ok(options)
    }
}

/// What the processor calls itself, where the system says.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_refused() {
        assert!(run(&["--fast"]).unwrap_err().to_string().contains("--fast"));
        assert!(run(&["--format", "yaml"]).unwrap_err().to_string().contains("yaml"));
        assert!(run(&["--peers"]).unwrap_err().to_string().contains("Python"));
        assert!(run(&["--device"]).unwrap_err().to_string().contains("wgpu"));
        assert!(run(&["--device", "auto"]).unwrap_err().to_string().contains("name one"));
    }

    #[test]
    fn both_spellings_ask_for_json() {
        let (short, long) = (Options::parse(&["--json"]).unwrap(), Options::parse(&["--format", "json"]).unwrap());
        assert!(short.json);
        assert_eq!(short, long);
    }
}
