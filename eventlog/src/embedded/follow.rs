//! A reading process keeps up with the writing one: it looks at the published end and takes in what is new up to there.
//!
//! It trusts nothing beyond that end and writes nothing. Must not know what is in the frames. Read on in `synced`.

use std::{
    fs::File,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    failed,
    layout::Layout,
    missing, recover, segment,
    synced::SyncedFile,
    view::{Core, View},
};
use crate::{LogError, Result};

/// How often a sleeping reader looks at the published end: soon enough for a page that is reloaded each second.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The reader's hold on the published end.
#[derive(Debug)]
pub(super) struct Follower {
    synced: SyncedFile,
}

impl Follower {
    pub(super) fn open(dir: &Path) -> Result<(Self, View)> {
        let layout = match Layout::load(dir) {
            Some(layout) => layout,
            None if Layout::exists(dir) => {
                return Err(LogError::Damaged { what: format!("the list of topics in {}", dir.display()) });
            }
            None => return Err(gone(dir, "the list of topics")),
        };
        let synced = SyncedFile::open(dir).map_err(|_| gone(dir, "the published end"))?;
        let last = synced.read().map_err(|e| failed("read the log's end", e))?;
        let last = last.ok_or_else(|| gone(dir, "the published end"))?;
        let view = recover::open_synced(dir, layout, &last)
            .map_err(|e| failed(&format!("read the log's segments in {}", dir.display()), e))?;
        Ok((Self { synced }, view))
    }

    /// Takes in what was published since the last time.
    pub(super) fn follow(&self, core: &Core) -> Result<()> {
        let reading = |e| failed("follow the log", e);
        core.forget_deleted();
        let Some(last) = self.synced.read().map_err(reading)? else { return Ok(()) };
        let is_new = |view: &View| (last.segment, last.position) > (view.active_number(), view.position);
        if !is_new(&core.view.read()) {
            return Ok(());
        }
        let mut view = core.view.write();
        while is_new(&view) {
            let limit = if view.active_number() == last.segment {
                last.position
            } else {
                view.active.metadata().map_err(reading)?.len()
            };
            view.scan_to(limit).map_err(reading)?;
            if view.active_number() < last.segment && !go_on(core, &mut view).map_err(reading)? {
                break;
            }
        }
        if last.next.len() > view.layout.slot_count()
            && let Some(layout) = Layout::load(&core.dir)
        {
            view.layout = layout;
        }
        recover::never_again(&mut view, &last);
        drop(view);
        core.announce();
        Ok(())
    }

    pub(super) fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let until = Instant::now() + timeout;
        loop {
            let moment = self.synced.read().ok().flatten().map_or(seen, |last| last.sequence);
            let left = until.saturating_duration_since(Instant::now());
            if moment != seen || left.is_zero() {
                return moment;
            }
            std::thread::sleep(left.min(LOOK_EVERY));
        }
    }
}

/// Without segments there is no log; with some, what is said of them is gone.
fn gone(dir: &Path, what: &str) -> LogError {
    if segment::list(dir).unwrap_or_default().is_empty() {
        return missing(dir);
    }
    let what = format!(
        "{what} of the log in {} is gone; what opens it for writing, e.g. `calltide up`, mends it",
        dir.display()
    );
    LogError::Damaged { what }
}

/// Steps into the next segment, if there is one.
fn go_on(core: &Core, view: &mut View) -> io::Result<bool> {
    let present = view.active_number();
    let next = segment::list(&core.dir)?.into_iter().find(|number| *number > present);
    let Some(number) = next else { return Ok(false) };
    let file = File::open(segment::path(&core.dir, number))?;
    let head = segment::read_head(&file)?;
    let start = head.as_ref().map_or(0, |head| head.start);
    let mut kept = None;
    if let Some(head) = head {
        view.standing = head.standing;
        kept = head.cleaned.map(|cleaned| cleaned.kept);
    }
    view.roll(number, Arc::new(file), start, kept);
    Ok(true)
}
