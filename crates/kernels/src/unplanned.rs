//! Stands in for plans where the `flex` backend isn't built: there are none.

/// A network that is ready to predict. Nobody has one.
#[derive(Debug)]
pub enum Plan {}

impl Plan {
    /// The outputs, sample by sample.
    pub fn floats(&self, _: &[f32]) -> Vec<f32> {
        match *self {}
    }

    /// The same for pixels.
    pub fn pixels(&self, _: &[u8]) -> Vec<f32> {
        match *self {}
    }
}
