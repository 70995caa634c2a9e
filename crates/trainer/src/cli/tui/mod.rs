//! `--tui`: a training on the whole screen, drawn and its keys read by a thread of its own, which training never waits for. `draw` says
//! what is where, `state` what is known, `terminal` keeps the terminal whole.

mod bars;
mod chart;
mod colours;
mod curve;
mod draw;
mod pictures;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyModifiers};
use trainer::{Answers, Event, Glance, memory};

use self::colours::Colours;
pub(crate) use self::state::State;
use self::terminal::Terminal;
use super::signals::Signals;
use super::stream;

/// Between two pictures.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Between two looks at the keys.
const KEYS_EVERY: Duration = Duration::from_millis(50);
/// Between two steps that are taken in.
const STEPS_EVERY: Duration = Duration::from_millis(50);
/// Between two looks at the memory.
const MEMORY_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what validations answer, which reads samples.
const GLANCE_EVERY: Duration = Duration::from_secs(1);

/// Looks at answers, read at a temperature.
pub(crate) type Look = Box<dyn Fn(&Answers, f64) -> Glance + Send>;

/// The screen of a training.
pub(crate) struct Screen {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Samples learned in this sitting.
    learned: u64,
    /// In an epoch.
    batches: usize,
    told: Instant,
}

/// What the thread that draws and the one that trains both know.
struct Shared {
    state: Mutex<State>,
    signals: Signals,
    save_now: AtomicBool,
    /// The training has ended.
    over: AtomicBool,
    /// What the newest validation answered, and the temperature, until it is looked at.
    answers: Mutex<Option<(Answers, f64)>>,
}

impl Shared {
    fn answers(&self) -> MutexGuard<'_, Option<(Answers, f64)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Screen {
    /// Takes over the terminal that standard error is; `look` is asked by the thread that draws.
    ///
    /// # Errors
    /// In words, why there is none that could be drawn on.
    pub(crate) fn open(state: State, signals: Signals, look: Look) -> Result<Self, String> {
        refused(io::stderr().is_terminal(), |name| std::env::var(name).unwrap_or_default())?;
        let failed = |error: io::Error| format!("the terminal cannot be used: {error}");
        let screen = terminal::screen().map_err(failed)?;
        terminal::enter().map_err(failed)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            signals,
            save_now: AtomicBool::new(false),
            over: AtomicBool::new(false),
            answers: Mutex::new(None),
        });
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("screen".into()).spawn(move || {
            // A terminal that is gone is no reason to stop a training.
            let _ = show(&own, screen, &look);
            terminal::leave();
            if own.signals.stop() {
                stream::tell("stopping: the run is saved first; Ctrl-C ends it at once");
            }
        });
        let thread = thread.inspect_err(|_| terminal::leave()).map_err(failed)?;
        Ok(Self { shared, thread: Some(thread), learned: 0, batches: 0, told: Instant::now() })
    }

    /// Takes in an event, unless it is a step so soon after another.
    pub(crate) fn record(&mut self, event: &Event) {
        match event {
            Event::Started { batches, .. } => self.batches = *batches,
            Event::Step { batch, samples, .. } => {
                self.learned += *samples as u64;
                // The last one of an epoch says that validation begins.
                if self.told.elapsed() < STEPS_EVERY && *batch < self.batches {
                    return;
                }
                self.told = Instant::now();
            }
            _ => {}
        }
        self.shared.state().follow(event, self.learned, Instant::now());
    }

    /// Takes in what a validation answered.
    pub(crate) fn look_at(&self, answers: Answers, temperature: f64) {
        *self.shared.answers() = Some((answers, temperature));
    }

    /// Whether a checkpoint was asked for since this was last asked.
    pub(crate) fn is_save_wanted(&self) -> bool {
        self.shared.save_now.swap(false, Ordering::Relaxed)
    }

    /// Whether it is still there: the user may have left it.
    pub(crate) fn is_up(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Gives the terminal back.
    pub(crate) fn leave(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has said where it was.
            let _ = thread.join();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Why nothing can be drawn, if so.
fn refused(is_terminal: bool, variable: impl Fn(&str) -> String) -> Result<(), String> {
    if !is_terminal {
        return Err("standard error is no terminal".into());
    }
    if variable("TERM") == "dumb" {
        return Err("TERM is dumb".into());
    }
    if !matches!(variable("CI").as_str(), "" | "0" | "false") {
        return Err("CI is set".into());
    }
    Ok(())
}

/// Draws and reads keys until the training is over, or to be stopped.
fn show(shared: &Shared, mut screen: Terminal, look: &Look) -> io::Result<()> {
    let colours = Colours::of_environment();
    let [mut drawn, mut measured, mut looked]: [Option<Instant>; 3] = [None; 3];
    let is_due = |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
    let keys = Keys::listen()?;
    while terminal::is_up() && !shared.signals.stop() && !shared.over.load(Ordering::Relaxed) {
        if is_due(measured, MEMORY_EVERY) {
            measured = Some(Instant::now());
            let memory = [memory::resident(), memory::available()];
            shared.state().memory = memory;
        }
        let answers = is_due(looked, GLANCE_EVERY).then(|| shared.answers().take()).flatten();
        if let Some((answers, temperature)) = answers {
            let glance = look(&answers, temperature);
            shared.state().glance = Some(glance);
            looked = Some(Instant::now());
        }
        if is_due(drawn, DRAW_EVERY) {
            drawn = Some(Instant::now());
            // Training waits while a picture is made, but not while the terminal takes it.
            screen.draw(|frame| draw::draw(frame, &shared.state(), Instant::now(), colours))?;
        }
        match keys.pressed.recv_timeout(KEYS_EVERY) {
            Ok(Key::Stop) => shared.signals.interrupt(),
            Ok(Key::Save) => {
                shared.save_now.store(true, Ordering::Relaxed);
                shared.state().save_asked = true;
            }
            Ok(Key::Suspend) => {
                terminal::suspend()?;
                screen = terminal::screen()?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The terminal is gone.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Reads keys in a thread that nobody waits for: of a key that the terminal sends in part, such as a letter in another encoding than UTF-8, the
/// rest may never come.
struct Keys {
    pressed: Receiver<Key>,
    over: Arc<AtomicBool>,
}

impl Keys {
    fn listen() -> io::Result<Self> {
        let (sender, pressed) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let own = over.clone();
        std::thread::Builder::new().name("keys".into()).spawn(move || {
            while !own.load(Ordering::Relaxed) {
                let key = match event::poll(KEYS_EVERY) {
                    Ok(true) => event::read().map(|input| pressed_key(&input)),
                    other => other.map(|_| None),
                };
                match key {
                    Ok(Some(key)) if sender.send(key).is_err() => break,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        })?;
        Ok(Self { pressed, over })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Save,
    Stop,
    Suspend,
}

fn pressed_key(input: &Input) -> Option<Key> {
    let KeyEvent { code: KeyCode::Char(letter), modifiers, .. } = input.as_key_press_event()? else { return None };
    match (letter, modifiers.contains(KeyModifiers::CONTROL)) {
        ('c', true) | ('q' | 'Q', false) => Some(Key::Stop),
        ('s' | 'S', false) => Some(Key::Save),
        ('z', true) => Some(Key::Suspend),
        _ => None,
    }
}
