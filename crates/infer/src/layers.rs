//! What a model's layers look for and what they make of a sample, for people to look at. The walk through the network is `models`'.

use models::{FeatureMap, Filters, feature_maps, filters};

use crate::{Error, Predictor, Sample};

impl Predictor {
    /// The filters of all convolutions, in the order of computation; of a perceptron on pictures the weights of its first layer, each unit's as a
    /// picture. A perceptron on rows of a table has none.
    pub fn filters(&self) -> Vec<Filters> {
        filters(self.model())
    }

    /// What each layer makes of `sample`, in the order of computation; the last are the outputs. Of layers that put out maps the first `most`
    /// channels.
    ///
    /// # Errors
    /// If the sample was decoded for another model, or the device fails.
    pub fn feature_maps(&self, sample: &Sample, most: usize) -> Result<Vec<FeatureMap>, Error> {
        let batch = self.gather(std::slice::from_ref(sample))?;
        self.attended(1, || Ok(feature_maps(self.model(), batch.into_tensors(self.device()).0, most)))
    }
}
