//! The page of runs that nobody wishes for: hostile names, one class, a thousand, numbers that aren't finite, nothing measured at all.

use report::{
    Answer, Beside, Calibration, ClassRow, ComparedRun, Comparison, Coverage, CoverageRow, Curve, Explained, Features,
    Filters, Flipped, HeldOut, Layer, Maps, Outcome, Overlay, Page, Picture, Share, Shown, TargetRow,
};

/// Names in any script, with whatever HTML gives a meaning to.
const NAMES: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "it's & \"that\"",
    "花と犬",
    "שלום עולם",
    "\u{202e}gnp.exe",
    "👩‍🚀🌹",
    "=cmd|' /C calc'!A0",
    "",
];

fn answer(truth: usize, predicted: usize, classes: usize) -> Answer {
    Answer { truth, predicted, confidence: 0.7, second: (predicted + 1) % classes, runner_up: 0.2 }
}

/// Of a target with that name, measured and without a limit.
fn coverage(name: &str) -> Coverage {
    let share = Share { value: 0.9, low: 0.8, high: 1.0 };
    let row = CoverageRow { target: Some(name.to_owned()), asked: 0.95, covered: Some(share), size: Some(f64::NAN) };
    Coverage {
        split: "test",
        temperature: Some(1.5),
        fitted_on: 1234,
        note: Some(name.to_owned()),
        loss: Some([0.5, f64::INFINITY]),
        error: None,
        rows: vec![row.clone(), CoverageRow { covered: None, size: None, ..row }],
    }
}

/// Of layers with that name: 100 filters, 40 channels of which two are silent, and three units.
fn features(name: &str, sample: Shown) -> Features {
    let layer = name.to_owned();
    let values = (0..16 * 40).map(|at| if at < 32 { 0.0 } else { at as f32 }).collect();
    let maps = Maps { layer: layer.clone(), kind: layer.clone(), channels: 40, size: [4, 4], values };
    let units = Maps { channels: 3, size: [1, 1], values: vec![-1.0, f32::NAN, 2.0], ..maps.clone() };
    let values = (0..100 * 27).map(|at| at as f32 - 900.0).collect();
    let filters = vec![Filters { layer, whole: false, filters: 100, shape: [3, 3, 3], values }];
    let explained = sample.picture.clone().map(|picture| {
        let overlay = Overlay { heat: vec![-1.0, 0.0, 0.5, f32::NAN], picture, signed: true };
        Explained { shown: sample.clone(), overlay }
    });
    let method = format!("as {name} says");
    let explained = explained.into_iter().collect();
    Features { filters, sample: Some(sample), maps: vec![maps, units], explained, method }
}

fn classes(names: &[String]) -> Page {
    let share = Share { value: 0.5, low: 0.25, high: 0.75 };
    let row =
        |name: &String| ClassRow { name: name.clone(), precision: Some(share), support: 2, ..ClassRow::default() };
    let answers = (0..names.len() * 2).map(|at| answer(at / 2, (at / 2 + at % 2) % names.len(), names.len())).collect();
    let shown = |name: &String| Shown {
        source: format!("{name}/1.png"),
        truth: name.clone(),
        answer: format!("{name} (70.0 %)"),
        picture: Some(Picture { shape: [3, 2, 2], pixels: (0..12).collect() }),
        row: vec![(name.clone(), name.clone())],
    };
    let curve = |name: &String| Curve {
        name: name.clone(),
        auroc: 0.5,
        roc: vec![[0.0, 0.0], [1.0, 1.0]],
        precision_recall: vec![[0.0, 0.5], [1.0, 0.5]],
    };
    let outcome = Outcome::Classes {
        rows: names.iter().map(row).collect(),
        curves: names.iter().map(curve).collect(),
        answers,
        mistakes: names.iter().take(24).map(shown).collect(),
        doubts: names.iter().take(24).map(shown).collect(),
    };
    Page {
        name: names[0].clone(),
        task: format!("classification, {}", names[0]),
        facts: vec![(names[0].clone(), names[0].clone())],
        notes: names.to_vec(),
        results: "epoch,train/loss,val/loss,metrics/<script>\n1,0.5,NaN,0.5\n2,inf,,0.75\n".to_owned(),
        best_epoch: 2,
        held_out: Some(HeldOut { split: "test", samples: 18, metrics: vec![(names[0].clone(), f64::NAN)], outcome }),
        coverage: Some(coverage(&names[0])),
        features: Some(features(&names[0], shown(&names[0]))),
        layers: vec![Layer {
            name: names[0].clone(),
            kind: names[0].clone(),
            output: vec![1, 2],
            parameters: 1234,
            flops: 5678,
        }],
        train_batch: names.iter().take(16).map(shown).collect(),
        val_batch: names.iter().take(16).map(shown).collect(),
        input: names[0].clone(),
        configuration: format!("data = \"{}\"", names[0]),
        commands: vec![(names[0].clone(), format!("trainer replay '{}'", names[0]))],
    }
}

/// Every tag is one that the page makes itself, each that is opened is closed in order, and nothing is loaded or run.
#[track_caller]
fn is_sound(html: &str) {
    const KNOWN: [&str; 49] = [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "header",
        "h1",
        "h2",
        "h3",
        "p",
        "nav",
        "ul",
        "li",
        "main",
        "section",
        "dl",
        "div",
        "dt",
        "dd",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "bdi",
        "details",
        "summary",
        "figure",
        "figcaption",
        "svg",
        "line",
        "text",
        "path",
        "circle",
        "rect",
        "span",
        "strong",
        "code",
        "pre",
        "img",
        "!DOCTYPE",
        "h4",
        "em",
        "br",
        "hr",
    ];
    const EMPTY: [&str; 8] = ["meta", "img", "!DOCTYPE", "br", "hr", "circle", "rect", "line"];
    let mut open: Vec<&str> = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("a tag is not closed: {piece}"));
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        assert!(KNOWN.contains(&name), "unknown tag <{tag}>");
        // What stands between quotes is a value: its own quotes are escaped.
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(!bare.to_lowercase().contains("onerror") && !tag.contains("href=\""), "<{tag}>");
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "</{name}> closes another tag"),
            false if EMPTY.contains(&name) || tag.ends_with('/') => {}
            false => open.push(name),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for loads in ["http:", "https:", "//", "url(", "@import", "<script", "<link", "<iframe"] {
        let style = html.replace("http-equiv", "");
        let data_free: String = style.split('"').filter(|part| !part.starts_with("data:")).collect();
        assert!(!data_free.contains(loads), "the page holds `{loads}`");
    }
    assert!(!html.contains("=\"NaN") && !html.contains("MNaN"), "a drawing holds NaN");
}

#[test]
fn names_of_any_kind_stay_text() {
    let names = NAMES.map(str::to_owned);
    let html = classes(&names).html();
    is_sound(&html);
    for name in ["花と犬", "שלום עולם", "👩‍🚀🌹"] {
        assert!(html.contains(&format!("<bdi>{name}</bdi>")), "{name}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("alt=\""));
    assert!(html.contains("data:image/png;base64,"));
    assert!(html.contains("<bdi dir=ltr>"), "an answer is a sentence of ours around names of theirs");
}

#[test]
fn what_people_look_for_is_there() {
    let names = ["cat".to_owned(), "dog".to_owned()];
    let html = classes(&names).html();
    for section in
        ["summary", "curves", "classes", "confusion", "calibration", "mistakes", "doubts", "network", "again"]
    {
        assert!(
            html.contains(&format!("<section id={section}>")) && html.contains(&format!("href=#{section}")),
            "{section}"
        );
    }
    for words in [
        "50.0 %",
        "25.0\u{2013}75.0",
        "Expected calibration error",
        "prefers-color-scheme",
        "trainer replay",
        "1,234 parameters, 5,678 FLOPs",
        "viewport",
    ] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn one_class_and_a_thousand_come_out() {
    let one = classes(&["only".to_owned()]).html();
    is_sound(&one);
    assert!(one.contains("No class was taken for another"));
    let thousand: Vec<String> = (0..1000).map(|class| format!("class {class}")).collect();
    let html = classes(&thousand).html();
    is_sound(&html);
    assert!(html.contains("class 999") && html.len() < 2_000_000, "{} bytes", html.len());
    assert!(html.contains("Most frequent confusions, 30 of 1000"));
}

#[test]
fn a_run_without_anything_has_a_page() {
    let html = Page { name: "new".into(), notes: vec!["no model yet".into()], ..Page::default() }.html();
    is_sound(&html);
    assert!(html.contains("No epoch has ended yet") && html.contains("no model yet"));
}

#[test]
fn regression_shows_each_target_and_survives_numbers_that_are_not_finite() {
    let target = |name: &str, pairs: Vec<(f64, f64)>| TargetRow {
        name: name.into(),
        mae: Some(1.0),
        rmse: None,
        r2: Some(0.5),
        pairs,
    };
    let plain = (0..5000).map(|at| (f64::from(at), f64::from(at) + 1.0)).collect();
    let rows = vec![
        target("<price>", plain),
        target("constant", vec![(3.0, 3.0); 20]),
        target("lost", vec![(1.0, f64::NAN), (2.0, f64::INFINITY)]),
        target("none", vec![]),
    ];
    let outcome = Outcome::Values { rows, mistakes: vec![] };
    let held_out = HeldOut { split: "val", samples: 5000, metrics: vec![], outcome };
    let html = Page { name: "r".into(), held_out: Some(held_out), ..Page::default() }.html();
    is_sound(&html);
    assert!(html.contains("Of 5,000 samples one in 3 is drawn"));
    assert!(
        html.contains("Error by decile") && html.contains("&lt;price&gt;") && html.contains("No finite prediction")
    );
    assert!(html.contains("on which the best epoch was chosen"));
}

/// The width and height that a PNG file declares.
#[track_caller]
fn size(png: &[u8]) -> [u32; 2] {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    [16, 20].map(|at| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]))
}

#[test]
fn pictures_are_files_of_their_own_under_names_that_people_know() {
    let files = classes(&NAMES.map(str::to_owned)).files();
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let of_answers = ["roc_curve", "pr_curve", "confusion_matrix", "calibration"];
    let expected =
        [&["results", "train_batch0", "val_batch0_pred"], &of_answers[..], &["filters", "feature_maps", "explained"]];
    assert_eq!(names, expected.concat());
    for (name, sheet) in files {
        let [width, height] = size(&sheet.png().unwrap());
        assert!(width >= 200 && height >= 200, "{name}: {width}x{height}");
        let svg = sheet.svg();
        assert!(!svg.contains("var(") && !svg.contains("<script") && !svg.contains("<img"), "{name}");
        // What the letters of the file cannot say is said by number.
        assert!(!svg.contains('花') && !svg.contains('ש') && !svg.contains('👩'), "{name}");
        if name == "confusion_matrix" {
            assert!(svg.contains(">class 3<") && svg.contains("&lt;script&gt;"), "{svg}");
        }
    }
}

#[test]
fn a_thousand_classes_have_a_matrix_without_names_and_more_have_none() {
    let named = |count: usize| (0..count).map(|at| format!("n{at}")).collect::<Vec<_>>();
    let matrix = |page: Page| page.files().into_iter().find(|(name, _)| *name == "confusion_matrix");
    let (_, sheet) = matrix(classes(&named(1000))).unwrap();
    assert!(!sheet.svg().contains(">n500<") && sheet.svg().contains(">500<"));
    assert!(size(&sheet.png().unwrap())[0] < 3000);
    assert!(matrix(classes(&named(1001))).is_none());
    assert!(matrix(classes(&named(1))).is_some());
}

#[test]
fn a_run_with_nothing_has_no_pictures() {
    assert!(Page::default().files().is_empty());
    let nan = Page { results: "epoch,train/loss\n1,NaN\n".into(), ..Page::default() };
    assert!(nan.files().is_empty());
}

#[test]
fn filters_and_maps_are_drawn_with_what_was_left_out_and_what_is_silent() {
    let page = classes(&["cat".to_owned()]);
    let html = page.html();
    for words in [
        "the first 64 of 100 filters of 3\u{d7}3",
        "the first 16 of 40 channels of 4\u{d7}4; 2 the same everywhere",
        "3 units, from -1.000 to 2.000",
        "alt=\"cat: cat: the first 16",
        "<p>as cat says: red speaks for it, blue against it.</p>",
        "alt=\"cat/1.png: what counted for the answer; is cat",
    ] {
        assert!(html.contains(words), "{words}");
    }
    let without = |features: Features| Page { features: Some(features), ..page.clone() };
    let empty = without(Features::default());
    assert!(!empty.html().contains("What it looks at") && !empty.files().iter().any(|(name, _)| *name == "filters"));
    // Numbers that don't make up a filter or a map, and sizes that nothing has.
    let mut odd = features("odd", Shown::default());
    odd.filters.iter_mut().for_each(|filters| filters.shape = [usize::MAX, 2, 2]);
    odd.maps = odd.maps.into_iter().map(|maps| Maps { size: [usize::MAX, 3], ..maps }).collect();
    assert!(!without(odd).html().contains("What it looks at"));
    let mut large = features("large", Shown::default());
    large.maps =
        vec![Maps { size: [500, 500], channels: 1000, values: vec![0.5; 250_000 * 20], ..large.maps[0].clone() }; 12];
    let html = without(large).html();
    is_sound(&html);
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
}

#[test]
fn labels_have_their_table_and_calibration() {
    let mut calibration = Calibration::default();
    (0..100).for_each(|at| calibration.add(f64::from(at) / 100.0, at > 60));
    let rows = vec![ClassRow { name: "rain".into(), average_precision: Some(0.75), ..ClassRow::default() }];
    let outcome = Outcome::Labels { rows, curves: vec![], calibration, mistakes: vec![], doubts: vec![] };
    let held_out = HeldOut { split: "test", samples: 100, metrics: vec![], outcome };
    let html = Page { held_out: Some(held_out), ..Page::default() }.html();
    is_sound(&html);
    assert!(
        html.contains("Average precision") && html.contains("0.7500") && html.contains("No label was answered wrongly")
    );
}

#[test]
fn a_comparison_of_runs_with_names_of_any_kind_is_one_sound_page() {
    let names = NAMES.map(str::to_owned);
    let sample =
        |name: &String| Flipped { source: name.clone(), truth: name.clone(), first: name.clone(), this: name.clone() };
    let beside = Beside {
        differences: vec![[Some(-0.25), Some(f64::NEG_INFINITY), Some(f64::NAN)], [None; 3]],
        test: names[0].clone(),
        verdict: "worse".into(),
        fixed: (0, vec![]),
        broken: (1234, names.iter().map(sample).collect()),
    };
    let run = |(at, name): (usize, &String)| ComparedRun {
        name: name.clone(),
        values: vec![[Some(0.5), Some(0.25), Some(0.75)], [None; 3]],
        costs: vec![("file".into(), name.clone())],
        against: (at > 0).then(|| beside.clone()),
    };
    let page = Comparison {
        about: names[0].clone(),
        notes: names.to_vec(),
        metrics: vec!["accuracy".into(), names[1].clone()],
        runs: names.iter().enumerate().map(run).collect(),
    };
    let html = page.html();
    is_sound(&html);
    assert!(html.contains("1,234 samples are answered worse than by the first run; 9 of them"));
    assert!(html.contains("-0.2500") && html.contains("0.2500 to 0.7500") && html.contains("href=#run8"));
    is_sound(&Comparison::default().html());
}
