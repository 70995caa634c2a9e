//! The terminal while a screen is on it: taken over and given back exactly once, whatever ends the screen.

use std::io::{self, Write, stderr};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{Command, event};

/// Whether the screen is up. Held while something is written, so that nothing is drawn on a terminal that was given back.
static UP: Mutex<bool> = Mutex::new(false);

fn up() -> MutexGuard<'static, bool> {
    UP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the terminal is ours.
pub(super) fn is_up() -> bool {
    *up()
}

/// Takes the terminal over, so that keys come as they are pressed and what was on it comes back afterwards. A panic anywhere gives it back
/// before it says what happened.
///
/// # Errors
/// If there are no keys to be read, or nothing can be drawn.
pub(super) fn enter() -> io::Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            hook(panic);
        }));
    });
    let mut up = up();
    enable_raw_mode()?;
    *up = true;
    // Whether keys can be read shows when one is waited for.
    let ready = send(&[&EnterAlternateScreen, &Clear(ClearType::All), &Hide])
        .and_then(|()| event::poll(std::time::Duration::ZERO));
    drop(up);
    ready.map(drop).inspect_err(|_| leave())
}

/// Gives the terminal back, if it is ours.
pub(super) fn leave() {
    let mut up = up();
    if std::mem::take(&mut *up) {
        // A terminal that is gone needs nothing back.
        let _ = send(&[&LeaveAlternateScreen, &Show]);
        let _ = disable_raw_mode();
    }
}

/// Gives the terminal back and stops the process, as Ctrl-Z does where it is no key, until the shell lets it go on.
///
/// # Errors
/// As [`enter`].
#[cfg(unix)]
pub(super) fn suspend() -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    let goes_on = Arc::new(AtomicBool::new(false));
    let watch = signal_hook::flag::register(signal_hook::consts::SIGCONT, goes_on.clone())?;
    leave();
    let began = Instant::now();
    // Whatever started this process stops with it, or its shell would go on waiting. Nobody stops where no shell could let it go on.
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    while !goes_on.load(Ordering::Relaxed) && began.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal_hook::low_level::unregister(watch);
    enter()
}

#[cfg(not(unix))]
pub(super) fn suspend() -> io::Result<()> {
    Ok(())
}

/// What can be asked of a terminal.
trait Escape {
    fn escape(&self) -> String;
}

impl<C: Command> Escape for C {
    fn escape(&self) -> String {
        let mut text = String::new();
        // Writing to memory doesn't fail.
        let _ = self.write_ansi(&mut text);
        text
    }
}

fn send(commands: &[&dyn Escape]) -> io::Result<()> {
    let text: String = commands.iter().map(|command| command.escape()).collect();
    stderr().write_all(text.as_bytes())
}

/// What ratatui draws on: standard error, a picture at a time.
pub(super) type Terminal = ratatui::Terminal<CrosstermBackend<Picture>>;

/// A terminal on which nothing is drawn yet. (Its `clear` is of no use here: it asks for the cursor's place, on standard output, and waits.)
pub(super) fn screen() -> io::Result<Terminal> {
    Terminal::new(CrosstermBackend::new(Picture::default()))
}

/// The bytes of a picture, which go out together when it is whole.
#[derive(Default)]
pub(super) struct Picture(Vec<u8>);

impl Write for Picture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let picture = std::mem::take(&mut self.0);
        let up = up();
        if *up { stderr().write_all(&picture) } else { Ok(()) }
    }
}
