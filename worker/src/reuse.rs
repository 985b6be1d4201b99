//! Results that are there already: the same picture with the same options, sent again by the same client while the first result is kept,
//! as scripts do that run twice. The result is copied, so that each job's own is deleted when its time has come.

use remaster_shared::job::{JobRecord, JobResult};
use remaster_shared::recipe::Recipe;
use remaster_store::Lease;

use crate::job::{Workshop, output_of};

impl Workshop {
    /// The recipe of the job's result, if results are to be reused and this one is worth it.
    pub(crate) fn recipe(&self, input: &[u8], job: &JobRecord) -> Option<Recipe> {
        let catalogue = self.reuses.as_ref()?;
        Recipe::of(input, &job.params, &catalogue.models())
    }

    /// The result of an earlier job by this recipe, copied to be this job's. Whatever is in the way of it: the result is made then.
    pub(crate) async fn reuse(&self, job: &JobRecord, lease: &Lease, recipe: Recipe) -> Option<JobResult> {
        let found = self.store.made_by(job.client, recipe).await;
        let earlier = found.inspect_err(|error| tracing::debug!(job = %job.id, %error, "no earlier result")).ok()??;
        let copied = self.blobs.copy(earlier.output_key()?, output_of(job, lease)).await;
        copied.inspect_err(|error| tracing::debug!(job = %job.id, %error, "an earlier result is not copied")).ok()?;
        tracing::info!(job = %job.id, earlier = %earlier.id, "the result is that of an earlier job");
        self.enhancer.metrics.reused();
        earlier.result
    }

    /// Records by which recipe the job's result was made. Without the record, it is only not reused.
    pub(crate) async fn note(&self, job: &JobRecord, recipe: Recipe) {
        if let Err(error) = self.store.note_recipe(job, recipe).await {
            tracing::debug!(job = %job.id, %error, "the recipe is not recorded");
        }
    }
}
