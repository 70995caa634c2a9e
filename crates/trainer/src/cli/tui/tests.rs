//! The picture at every size, with and without colours, of runs of every kind.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use report::{Picture, Shown};
use trainer::{EpochSummary, Event, Found, Glance};

use super::colours::Colours;
use super::draw::draw;
use super::state::State;
use super::{Input, Key, KeyCode, KeyEvent, KeyModifiers, pressed_key, refused};

const SIZES: [[u16; 2]; 4] = [[1, 1], [20, 5], [80, 24], [200, 60]];

fn picture(state: &State, [width, height]: [u16; 2], colours: Colours) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now = Instant::now() + Duration::from_secs(60);
    terminal.draw(|frame| draw(frame, state, now, colours)).unwrap();
    terminal.backend().buffer().clone()
}

/// The picture as lines; a cell that a wide letter covers is no letter.
fn text(buffer: &Buffer) -> String {
    let row = |y| {
        let (mut line, mut skip) = (String::new(), 0);
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line += symbol;
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        line
    };
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}

fn summary(epoch: usize, val: &[(&str, Option<f64>)]) -> EpochSummary {
    EpochSummary {
        epoch,
        seconds: 1.0,
        train_loss: 0.2 / epoch as f64,
        train_accuracy: None,
        val: val.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        lr: 0.01,
        best: true,
        weights: String::new(),
    }
}

fn started(done: usize, done_batches: usize) -> Event {
    Event::Started { parameters: 7, epochs: 4, done, done_batches, batches: 10, samples: [640, 64, 64] }
}

fn step(epoch: usize, batch: usize, loss: f64, accuracy: Option<f64>) -> Event {
    Event::Step { epoch, batch, samples: 64, loss, accuracy, lr: 0.01 }
}

/// A state that has followed `events`, a second apart.
fn after(run: &str, events: &[Event]) -> State {
    let (mut state, began, mut learned) = (State::new(run.into(), "images"), Instant::now(), 0);
    for (at, event) in events.iter().enumerate() {
        learned += if let Event::Step { samples, .. } = event { *samples as u64 } else { 0 };
        state.follow(event, learned, began + Duration::from_secs(at as u64));
    }
    state
}

fn classes() -> State {
    let mut events = vec![started(0, 0)];
    for epoch in 1..=2 {
        events.extend(
            (1..=10)
                .map(|batch| step(epoch, batch, 2.0 / (epoch * 10 + batch) as f64, Some(0.5 + batch as f64 / 25.0))),
        );
        events.push(Event::Epoch(summary(epoch, &[("accuracy", Some(0.9)), ("loss", Some(0.25))])));
    }
    events.push(step(3, 1, 0.0625, Some(0.95)));
    events.push(Event::Saved { done: 2, done_batches: 0 });
    let mut state = after("runs/digits-cnn", &events);
    state.memory = [Some(300 << 20), Some(5 << 30)];
    state
}

fn shown(shape: [usize; 3], pixels: Vec<u8>) -> Shown {
    let picture = Some(Picture { shape, pixels });
    Shown { source: "a.png".into(), truth: "cat".into(), answer: "dog (98 %)".into(), picture, ..Shown::default() }
}

fn found(classes: usize, name: &str) -> Vec<Found> {
    (0..classes).map(|at| Found { name: format!("{name}{at}"), found: at as u64, of: classes as u64 }).collect()
}

fn with(glance: Glance) -> State {
    let mut state = classes();
    state.glance = Some(glance);
    state
}

/// Every kind of validation that is hard to draw.
fn odd_glances() -> Vec<Glance> {
    let steers = "\u{1b}[31m\u{202e}\n\u{732b}\u{5e9}\u{5dc}";
    let row = Shown { source: steers.repeat(20), truth: steers.into(), answer: steers.into(), ..Shown::default() };
    vec![
        Glance::default(),
        Glance { classes: found(1, "only"), mistakes: vec![shown([1, 1, 1], vec![7])] },
        Glance { classes: found(1000, steers), mistakes: vec![row; 16] },
        Glance { classes: Vec::new(), mistakes: vec![shown([3, 1, 64], vec![9; 192]), shown([1, 64, 1], vec![9; 64])] },
        Glance { classes: found(3, ""), mistakes: vec![shown([3, 8, 8], vec![1, 2]), shown([0, 0, 0], Vec::new())] },
        Glance { classes: found(2, "x"), mistakes: vec![shown([1, 8, 8], vec![200; 64]); 16] },
    ]
}

/// Every kind of run that is hard to draw.
fn odd() -> Vec<State> {
    let odd = [f64::NAN, f64::INFINITY, -f64::INFINITY, 1.7e308, -1.7e308, 0.0, 1e-300];
    let losses = odd.iter().enumerate().map(|(at, loss)| step(1, at + 1, *loss, Some(*loss)));
    let val = [("loss", Some(f64::NAN)), ("map", None)];
    let none =
        |epochs, batches| Event::Started { parameters: 0, epochs, done: 0, done_batches: 0, batches, samples: [0; 3] };
    let regression = [("loss", Some(0.5)), ("r2", Some(-3.0))].as_slice();
    let note = "\u{1b}[2J\u{202e}note\n\t\u{732b}\u{732b} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{5e9}\u{5dc}\u{5d5}\u{5dd}";
    vec![
        State::new(String::new(), "rows"),
        after("r", &[none(0, 0)]),
        after("r", &[none(1, 0), step(1, 0, 1.0, None)]),
        after("r", &[started(3, 4), step(4, 5, 0.5, None)]),
        after("r", &[&[started(0, 0)][..], &losses.collect::<Vec<_>>(), &[Event::Epoch(summary(1, &val))]].concat()),
        after("r", &[started(0, 0), step(1, 10, 3.0, None), Event::Epoch(summary(1, regression))]),
        after("r", &[started(0, 0), step(1, 10, 3.0, Some(0.1)), Event::Epoch(summary(1, &[]))]),
        after(
            note,
            &[&[started(2, 0)][..], &[const { Event::Note(String::new()) }; 3], &[Event::Note(note.repeat(9))]]
                .concat(),
        ),
        after(&"\u{732b}".repeat(300), &[started(0, 0)]),
    ]
    .into_iter()
    .chain(odd_glances().into_iter().map(with))
    .collect()
}

#[test]
fn every_run_is_drawn_at_every_size_and_no_letter_of_it_steers_the_terminal() {
    for state in odd().iter().chain([&classes()]) {
        for size in SIZES {
            for colours in [Colours::None, Colours::Indexed, Colours::True] {
                let found = text(&picture(state, size, colours));
                let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
                assert!(!found.contains(steers) && !found.contains("NaN %"), "{size:?} {found}");
            }
        }
    }
}

#[test]
fn no_size_between_is_too_small_for_something() {
    let states: Vec<State> = odd().into_iter().chain([classes()]).collect();
    for size in (1..=130).step_by(3).flat_map(|width| (1..=30).map(move |height| [width, height])) {
        states.iter().for_each(|state| _ = picture(state, size, Colours::True));
    }
}

#[test]
fn a_terminal_of_the_usual_size_shows_classes_and_pictures() {
    let mut classes = vec![Found { name: "cat".into(), found: 3, of: 4 }];
    classes.extend(found(30, "other"));
    // Its upper half is red, its lower half blue.
    let half = |upper: u8, lower: u8| [[upper; 32], [lower; 32]].concat();
    let red_and_blue = shown([3, 8, 8], [half(255, 0), half(0, 0), half(0, 255)].concat());
    let state = with(Glance { classes, mistakes: vec![red_and_blue; 2] });
    let buffer = picture(&state, [80, 24], Colours::True);
    let lines = text(&buffer);
    for expected in ["recall, the worst 8 of 31", " 75.0 %  3 of 4", "is cat", "as dog (98 %)"] {
        assert!(lines.contains(expected), "`{expected}` in\n{lines}");
    }
    let cells = |upper, lower| buffer.content.iter().filter(|cell| [cell.fg, cell.bg] == [upper, lower]).count();
    let [red, blue] = [Color::Rgb(255, 0, 0), Color::Rgb(0, 0, 255)];
    assert!(cells(red, red) > 20 && cells(red, red) == cells(blue, blue), "{} {}", cells(red, red), cells(blue, blue));
    let plain = text(&picture(&state, [80, 24], Colours::None));
    assert!(plain.contains("::::") && !plain.contains('\u{2580}'), "{plain}");
}

#[test]
fn without_colours_no_cell_has_one_and_otherwise_some_do() {
    let coloured = |colours| {
        let buffer = picture(&classes(), [80, 24], colours);
        buffer.content.iter().any(|cell| [cell.fg, cell.bg] != [Color::Reset; 2])
    };
    assert_eq!([Colours::None, Colours::Indexed, Colours::True].map(coloured), [false, true, true]);
}

#[test]
fn a_terminal_of_the_usual_size_shows_curves_and_numbers() {
    let found = text(&picture(&classes(), [80, 24], Colours::None));
    for expected in [
        "runs/digits-cnn   epoch 3/4, batch 1/10",
        "1:00 since it began, 0:54 left",
        "train 0.06250  val 0.2500",
        "accuracy, best 90.00 % in epoch 2",
        "train 95.00 %  val 90.00 %",
        "64 images/s   learning rate 1.00e-2   memory 300.0 MiB (5.0 GiB free)",
        "s save a checkpoint   q save and stop   saved after epoch 2",
    ] {
        assert!(found.contains(expected), "`{expected}` in\n{found}");
    }
    let dots = found.chars().filter(|c| ('\u{2800}'..='\u{28ff}').contains(c)).count();
    assert!(dots > 30, "{found}");
}

#[test]
fn a_small_terminal_shows_the_numbers_that_matter_and_the_keys() {
    let found = text(&picture(&classes(), [40, 6], Colours::None));
    let lines: Vec<&str> = found.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "epoch 3/4, batch 1/10, 52 %");
    assert_eq!(lines[1], "loss train 0.06250, val 0.2500");
    assert_eq!(lines[5], "s save  q stop");
}

#[test]
fn a_run_that_went_back_is_drawn_from_there() {
    let state = after(
        "r",
        &[started(0, 0), step(1, 10, 1.0, None), step(2, 5, 9.0, None), started(1, 0), step(2, 1, 0.5, None)],
    );
    assert_eq!(state.loss[0].points().collect::<Vec<_>>(), [(1.0, 1.0), (1.1, 0.5)]);
}

#[test]
fn what_is_no_terminal_for_people_is_refused_in_words() {
    let why = |is_terminal, name: &str, value: &str| {
        refused(is_terminal, |asked| if asked == name { value.into() } else { String::new() }).err()
    };
    assert_eq!(why(true, "TERM", "xterm-256color"), None);
    assert_eq!(why(false, "", "").as_deref(), Some("standard error is no terminal"));
    assert_eq!(why(true, "TERM", "dumb").as_deref(), Some("TERM is dumb"));
    assert_eq!(why(true, "CI", "true").as_deref(), Some("CI is set"));
    assert_eq!(why(true, "CI", "false"), None);
}

#[test]
fn keys_do_what_the_last_line_says_and_others_nothing() {
    let key = |letter, modifiers| pressed_key(&Input::Key(KeyEvent::new(KeyCode::Char(letter), modifiers)));
    let (none, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
    assert_eq!(
        ['s', 'S', 'q', 'Q'].map(|letter| key(letter, none)),
        [Key::Save, Key::Save, Key::Stop, Key::Stop].map(Some)
    );
    assert_eq!([key('c', control), key('z', control)], [Key::Stop, Key::Suspend].map(Some));
    // Ctrl-S and Ctrl-Q hold and free the output of a terminal that is not ours.
    assert_eq!([key('c', none), key('z', none), key('x', none), key('s', control), key('q', control)], [None; 5]);
    assert_eq!(pressed_key(&Input::Resize(1, 1)), None);
}
