//! The names under which others keep a network's weights, and ours for them. One table says them all for torchvision's and timm's ResNets,
//! which name alike; any other network is expected to bear our names.

/// Theirs and ours; `#` stands for a number. What follows the last dot (`weight`, `bias`, `running_mean`, `running_var`) is the same.
const RESNET: [(&str, &str); 7] = [
    ("conv1", "stages.0.blocks.0.conv1"),
    ("bn1", "stages.0.blocks.0.norm1"),
    ("layer#.#.conv#", "stages.#.blocks.#.conv#"),
    ("layer#.#.bn#", "stages.#.blocks.#.norm#"),
    ("layer#.#.downsample.0", "stages.#.blocks.#.shortcut.conv"),
    ("layer#.#.downsample.1", "stages.#.blocks.#.shortcut.norm"),
    ("fc", "head.output"),
];

/// What a network's weights are put under: keys of the dictionaries that training scripts save, and what wrappers put before each name.
const PREFIXES: [&str; 7] = ["state_dict", "model_state_dict", "model_state", "model", "module", "_orig_mod", "net"];

/// The tensors without the prefixes that come before the names of a network. Where some stand under one, only they are the network's: an
/// optimizer's state lies beside them. Each is its name, its name in the file, and its shape.
pub(super) fn without_prefix(tensors: Vec<(String, Vec<usize>)>) -> Vec<(String, String, Vec<usize>)> {
    let mut named: Vec<_> = tensors.into_iter().map(|(name, shape)| (name.clone(), name, shape)).collect();
    loop {
        let found = PREFIXES.iter().find_map(|prefix| {
            let under = |name: &str| name.strip_prefix(prefix)?.strip_prefix('.').map(str::to_owned);
            let stripped: Vec<_> = named
                .iter()
                .filter_map(|(name, theirs, shape)| Some((under(name)?, theirs.clone(), shape.clone())))
                .collect();
            (!stripped.is_empty()).then_some(stripped)
        });
        match found {
            Some(stripped) => named = stripped,
            None => return named,
        }
    }
}

/// Whether the names are those of torchvision's ResNets.
pub(super) fn is_resnet<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let (mut stem, mut block) = (false, false);
    for name in names {
        stem |= name == "conv1.weight";
        block |= name == "layer1.0.conv1.weight";
    }
    stem && block
}

/// Our name for torchvision's; the same where the table has none.
pub(super) fn ours(name: &str) -> String {
    let Some((module, what)) = name.rsplit_once('.') else { return name.to_owned() };
    let found = RESNET.iter().find_map(|(theirs, ours)| Some(filled(ours, &numbers(theirs, module)?)));
    found.map_or_else(|| name.to_owned(), |ours| format!("{ours}.{what}"))
}

/// The numbers that stand in `name` where `pattern` has `#`; `None` where they differ elsewhere.
fn numbers<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let (mut rest, mut numbers) = (name, Vec::new());
    for (index, part) in pattern.split('#').enumerate() {
        if index > 0 {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            numbers.push(rest.split_at_checked(digits).filter(|_| digits > 0)?.0);
            rest = &rest[digits..];
        }
        rest = rest.strip_prefix(part)?;
    }
    rest.is_empty().then_some(numbers)
}

fn filled(pattern: &str, numbers: &[&str]) -> String {
    let mut numbers = numbers.iter();
    pattern.split('#').enumerate().fold(String::new(), |name, (index, part)| match index {
        0 => part.to_owned(),
        _ => name + numbers.next().unwrap_or(&"") + part,
    })
}

/// Which of the ResNets has these tensors; `shape` gives those under our names.
pub(super) fn resnet<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>) -> Option<String> {
    let blocks = |stage: usize| {
        (0..1000).take_while(|block| shape(&format!("stages.{stage}.blocks.{block}.conv1.weight")).is_some()).count()
    };
    let bottleneck = shape("stages.1.blocks.0.conv3.weight").is_some();
    let depth = match (bottleneck, [1, 2, 3, 4].map(blocks)) {
        (false, [2, 2, 2, 2]) => 18,
        (false, [3, 4, 6, 3]) => 34,
        (true, [3, 4, 6, 3]) => 50,
        (true, [3, 4, 23, 3]) => 101,
        (true, [3, 8, 36, 3]) => 152,
        _ => return None,
    };
    let stem = shape("stages.0.blocks.0.conv1.weight")?;
    let usual = match bottleneck {
        true => shape("stages.1.blocks.0.conv2.weight") == Some(&[64, 64, 3, 3]),
        false => shape("stages.1.blocks.0.conv1.weight") == Some(&[64, 64, 3, 3]),
    };
    let known = usual && stem.first() == Some(&64) && stem.get(2..) == Some(&[7, 7]);
    Some(match depth {
        18 | 50 if known => format!("resnet{depth}"),
        _ if known => format!("resnet{depth}, which is no preset"),
        _ => format!("a variant of resnet{depth}, which is no preset"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torchvisions_names_become_ours_and_others_stay() {
        for (theirs, expected) in [
            ("conv1.weight", "stages.0.blocks.0.conv1.weight"),
            ("bn1.running_var", "stages.0.blocks.0.norm1.running_var"),
            ("layer4.11.conv3.weight", "stages.4.blocks.11.conv3.weight"),
            ("layer2.0.bn2.bias", "stages.2.blocks.0.norm2.bias"),
            ("layer3.0.downsample.0.weight", "stages.3.blocks.0.shortcut.conv.weight"),
            ("layer3.0.downsample.1.running_mean", "stages.3.blocks.0.shortcut.norm.running_mean"),
            ("fc.bias", "head.output.bias"),
            ("layer1.0.se.fc1.weight", "layer1.0.se.fc1.weight"),
            ("layerx.0.conv1.weight", "layerx.0.conv1.weight"),
            ("conv1", "conv1"),
        ] {
            assert_eq!(ours(theirs), expected);
        }
    }

    #[test]
    fn prefixes_go_and_what_lies_beside_them_too() {
        let tensors = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), vec![1])).collect();
        let left = |names: &[&str]| -> Vec<String> {
            without_prefix(tensors(names)).into_iter().map(|(name, ..)| name).collect()
        };
        assert_eq!(left(&["module.conv1.weight", "module.fc.bias"]), ["conv1.weight", "fc.bias"]);
        let nested = ["state_dict.module.conv1.weight", "optimizer.state.0.exp_avg", "epoch"];
        assert_eq!(left(&nested), ["conv1.weight"]);
        assert_eq!(left(&["modules.conv1.weight"]), ["modules.conv1.weight"]);
    }
}
