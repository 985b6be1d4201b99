//! Results that are there already: the same picture with the same options, sent again by the same client while the first result is kept,
//! as scripts do that run twice. The result is copied, so that each job's own is deleted when its time has come.

use bytes::Bytes;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::job::{JobRecord, JobResult};
use remaster_shared::recipe::Recipe;
use remaster_store::Lease;

use crate::blocking::blocking;
use crate::job::{Workshop, output_of};

impl Workshop {
    /// The recipe of the job's result, if results are to be reused and this one is worth it.
    pub(crate) async fn recipe(&self, input: &Bytes, job: &JobRecord) -> Option<Recipe> {
        let models = self.reuses.as_ref()?.models();
        let running = self.enhancer.engine.running_on();
        let device = running.map(|running| format!("{} {}", running.device, running.precision)).unwrap_or_default();
        let (input, params) = (input.clone(), job.params.clone());
        blocking(move || Recipe::of(&input, &params, &models, &device)).await.ok()?
    }

    /// The result of an earlier job by this recipe, copied to be this job's. Whatever is in the way of it: the result is made then.
    pub(crate) async fn reuse(&self, job: &JobRecord, lease: &Lease, recipe: Recipe) -> Option<JobResult> {
        let found = self.store.made_by(job.client, recipe).await;
        let earlier = found.inspect_err(|error| tracing::debug!(job = %job.id, %error, "no earlier result")).ok()??;
        let to = BlobKey::Output(job.id, output_of(job, lease));
        let copied = self.blobs.copy(earlier.output_key()?, to).await;
        copied.inspect_err(|error| tracing::debug!(job = %job.id, %error, "an earlier result is not copied")).ok()?;
        tracing::info!(job = %job.id, earlier = %earlier.id, "the result is that of an earlier job");
        self.enhancer.metrics.reused();
        earlier.result
    }

    /// Records by which recipe this attempt's picture was made. Without the record, it is only not reused.
    pub(crate) async fn note(&self, job: &JobRecord, lease: &Lease, recipe: Recipe) {
        if let Err(error) = self.store.note_recipe(job, output_of(job, lease), recipe).await {
            tracing::debug!(job = %job.id, %error, "the recipe is not recorded");
        }
    }
}
