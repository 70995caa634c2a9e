//! What rank 0 has read or keeps, on its way to the others: checkpoints and tensors by name.

use std::path::Path;

use super::Ranks;
use crate::checkpoint::{Checkpoint, Tensors, pack, unpack};
use crate::{Error, Settings};

/// What an error about bytes that came from rank 0 names.
const FROM: &str = "rank 0";

impl Ranks {
    /// The checkpoint that rank 0 has, on every rank: where it stands, and its tensors. Whoever writes files has the rest.
    ///
    /// # Errors
    /// If another rank failed.
    pub(crate) fn checkpoint(&self, mine: Option<Checkpoint>) -> Result<Option<Checkpoint>, Error> {
        if self.size() == 1 {
            return Ok(mine);
        }
        let encoded = mine.as_ref().map_or(Ok(Vec::new()), |checkpoint| serde_json::to_vec(&checkpoint.progress));
        let damaged = |error: serde_json::Error| Error::checkpoint(Path::new(FROM), error);
        let progress = self.broadcast(encoded.map_err(damaged))?;
        if progress.is_empty() {
            return Ok(None);
        }
        let model = self.tensors(mine.as_ref().map(|checkpoint| &checkpoint.model))?;
        let optimizer = self.tensors(mine.as_ref().map(|checkpoint| &checkpoint.optimizer))?;
        let averages = self.any(mine.as_ref().is_some_and(|checkpoint| checkpoint.ema.is_some()))?;
        let ema = averages.then(|| self.tensors(mine.as_ref().and_then(|checkpoint| checkpoint.ema.as_ref())));
        let (ema, progress) = (ema.transpose()?, serde_json::from_slice(&progress).map_err(damaged)?);
        let (results, settings, best, last, path) = (String::new(), Settings::new(), None, None, None);
        Ok(mine.or(Some(Checkpoint { progress, model, optimizer, ema, results, settings, best, last, path })))
    }

    /// The tensors that rank 0 has, on every rank.
    ///
    /// # Errors
    /// If another rank failed.
    pub(crate) fn tensors(&self, mine: Option<&Tensors>) -> Result<Tensors, Error> {
        let bytes = mine.filter(|_| self.is_first()).map_or(Ok(Vec::new()), |tensors| pack(tensors, Path::new(FROM)));
        unpack(&self.broadcast(bytes)?, Path::new(FROM))
    }
}
